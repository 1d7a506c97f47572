//! A layer is a tar of store paths, or of the links and files of the image's root, as one blob.
//!
//! [`LayerContents`] says what a layer holds, by NAR hash, so that it can be remembered ([`Memo`]) and
//! packed again from the store at any time; a [`Packer`] reads each file once and writes the blob.

mod base_root;
mod compression;
mod contents;
mod digest_writer;
mod entries;
mod knowledge;
mod memo;
mod pack;
mod pipeline;
pub mod root_tree;
mod sha256_pair;
mod spare;
mod stream;
mod tar;

#[cfg(test)]
mod tests;

pub use base_root::BaseRoot;
pub use compression::{Compression, UnsupportedLevelError};
pub use contents::{LayerContents, Owner, StoreEntry};
pub use knowledge::Knowledge;
pub use memo::{Memo, MemoKey, Unused};
pub use pack::{PackError, PackProgress, Packer};

use serde::{Deserialize, Serialize};

use crate::oci::{Descriptor, DiffId};

/// A packed layer: the identity of its blob and of its tar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The blob as stored; without annotations.
    pub descriptor: Descriptor,
    /// The SHA-256 of the tar.
    pub diff_id: DiffId,
}
