//! floe's own record of images: how each was made, by name, so that it can be packed again or compared.
//!
//! A name has generations, numbered from 1: each image that was built under it, as a document whose form is the
//! caller's matter. A [`History`] says which there are and which of them each tag names. On disk:
//!
//! ```text
//! format                         the number of this form
//! .lock                          held by whoever writes
//! <name>/_history.json           what there is: replaced at once, and so the moment at which a change counts
//! <name>/_generations/<N>.json   the documents, written before the history names them, removed after it does not
//! ```
//!
//! No part of a name begins with `_`, so names and these never meet.

mod generation;
mod history;

mod directory;
mod stray;
mod version_1;

pub use directory::{LockedRecord, Record, RecordError};
pub use generation::{Generation, ParseRecordedNameError, RecordedName};
pub use history::{GenerationEntry, History, RemoveGenerationError};
pub use stray::Stray;
pub use version_1::Version1;
