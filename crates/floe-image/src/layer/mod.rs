//! A layer is a tar of store paths, or of the links and files of the image's root, as one blob.
//!
//! [`LayerContents`] says what a layer holds, by NAR hash, so that it can be remembered ([`memo`]) and
//! packed again from the store at any time; [`pack`] reads each file once and writes the blob.

mod contents;
pub mod root_tree;

pub use contents::{LayerContents, Owner, StoreEntry};

use serde::{Deserialize, Serialize};

use crate::oci::{Descriptor, DiffId};

/// A packed layer: the identity of its blob and of its tar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The blob as stored; without annotations.
    pub descriptor: Descriptor,
    /// The SHA-256 of the tar.
    pub diff_id: DiffId,
    /// The bytes of the tar.
    pub tar_size: u64,
}

/// How a layer's tar becomes a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "algorithm", content = "level")]
pub enum Compression {
    /// zstd at a level from 1 to 19.
    Zstd(i32),
    /// gzip at a level from 1 to 12.
    Gzip(i32),
    /// No compression.
    None,
}

impl Default for Compression {
    /// zstd at level 3: six to twelve times faster than gzip at 6, and smaller.
    fn default() -> Self {
        Self::Zstd(3)
    }
}
