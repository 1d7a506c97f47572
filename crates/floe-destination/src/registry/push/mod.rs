//! Pushing: what is missing goes there, and nothing is asked for twice.
//!
//! The order is that of the OCI distribution-spec v1.1, "Push", with what makes it fast: the tag first (the same
//! digest: done), then the previous manifest, whose blobs are taken to be there; the rest is asked for, mounted, or
//! sent, largest first; children before their index, the index before tags. [`sink`] makes the session a `BlobSink`, so
//! that layers which are still being packed stream into it.

mod session;

mod previous;
mod previous_images;

mod blobs;
mod sink;

mod manifests;

pub use manifests::PushError;
pub use session::{PushConfig, PushReport, PushSession};
