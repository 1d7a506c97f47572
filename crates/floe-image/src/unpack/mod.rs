//! Layers, read: blobs become the tree that a container would see, and the tree becomes files below a directory.
//!
//! [`Layers`] come in: descriptors with a [`BlobSource`](crate::BlobSource) that yields their bytes. A [`MergedTree`]
//! goes out: paths with what stands there and which layer put it, whiteouts applied (OCI image-spec v1.1, layer.md,
//! "Applying Changesets"). It holds names and no contents: contents are read from the layers again, by [`read_files`]
//! for some files and by [`extract()`] for a whole tree.
//!
//! Layers come from strangers. Each step bounds what it takes ([`Limits`]), refuses what it does not understand, and
//! never panics; nothing is written before the whole tree is known to be sound.

mod tree_path;

mod blob_reader;
mod decompress;
mod pax;
mod tar_reader;

mod layer_reader;
mod merged_tree;
mod resolve;

mod files;

mod beneath;
mod extract;

#[cfg(test)]
mod tests;

pub use decompress::{Bomb, Decompressed};
pub use extract::{ExtractConfig, ExtractError, Extracted, extract};
pub use files::{ReadFilesError, VisitFile, read_files};
pub use layer_reader::{Layers, Limits, ReadLayerError};
pub use merged_tree::{ContentId, MergedTree, Node, NodeKind, ReadTreeError};
pub use resolve::ResolveError;
pub use tar_reader::{TarError, Xattr};
pub use tree_path::{ParseTreePathError, TreePath};
