//! Progress of long work: bars on a terminal, plain lines elsewhere, JSON events for machines.
//!
//! Libraries know nothing of this: whoever implements their observers calls [`Progress`], from any thread. Packing and
//! moving are shown alike: so many blobs, of which some are under way. `work` counts, `show` draws.

mod show;
mod work;

pub(crate) use show::{Blob, BlobDone, Progress, Style};
