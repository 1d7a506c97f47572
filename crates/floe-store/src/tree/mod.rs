//! A tree is the files of one store path, visited in NAR order: depth first, the names of a
//! directory sorted by their bytes.
//!
//! A [`TreeSource`] says where trees come from (this disk's store, a plain directory, later a
//! binary cache); a [`Visitor`] says what becomes of them. Nothing outside this crate assumes that
//! the store lies on this disk.

mod local;

pub use local::LocalTrees;

pub(crate) use local::walk_location;

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::StorePath;

/// Where the files of store paths are read from.
pub trait TreeSource: Send + Sync {
    /// Shows every node of a path's tree to the visitor, in NAR order, reading each file once.
    ///
    /// # Errors
    /// When the path is not there, a node cannot be read or is of a kind that NAR does not know,
    /// or the visitor fails.
    fn walk(&self, path: &StorePath, visitor: &mut dyn Visitor) -> Result<(), WalkError>;

    /// What lies at `relative` (no leading slash; empty: the path itself) below a store path,
    /// without following symlinks and without opening a file; `None` when nothing does.
    ///
    /// # Errors
    /// When the path cannot be looked at for another reason than being absent.
    fn node_kind(&self, path: &StorePath, relative: &str) -> Result<Option<NodeKind>, WalkError>;

    /// The names and kinds of a directory's children, sorted by name.
    ///
    /// # Errors
    /// When there is no such directory, or it cannot be read.
    fn children(&self, path: &StorePath, relative: &str) -> Result<Vec<(OsString, NodeKind)>, WalkError>;

    /// Where a symlink below a store path points to.
    ///
    /// # Errors
    /// When there is no such symlink.
    fn link_target(&self, path: &StorePath, relative: &str) -> Result<PathBuf, WalkError>;
}

/// The kinds of node that a NAR can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file; `executable` is the only permission that Nix keeps.
    Regular {
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link.
    Symlink,
}

/// What becomes of a tree's nodes.
///
/// `relative` is a node's path below the store path, without a leading slash, in raw bytes; it is
/// empty for the root node. Each call's error ends the walk and comes back as [`WalkError::Visitor`].
pub trait Visitor {
    /// A directory begins; its children follow, sorted by name.
    ///
    /// # Errors
    /// When the visitor cannot take the node.
    fn enter_directory(&mut self, relative: &[u8]) -> io::Result<()>;

    /// The directory entered last and not yet left is complete.
    ///
    /// # Errors
    /// When the visitor cannot take the node.
    fn leave_directory(&mut self) -> io::Result<()>;

    /// A regular file of `size` bytes. The visitor reads `contents` to its end; the walk fails when
    /// the file proves longer or shorter than `size`.
    ///
    /// # Errors
    /// When the visitor cannot take the node, or reading `contents` fails.
    fn file(
        &mut self,
        relative: &[u8],
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> io::Result<()>;

    /// A symbolic link.
    ///
    /// # Errors
    /// When the visitor cannot take the node.
    fn symlink(&mut self, relative: &[u8], target: &[u8]) -> io::Result<()>;
}

/// Why a tree could not be walked.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The store path is registered, but its files are not on this disk.
    #[error("{path} is not there")]
    Missing {
        /// The physical path that was looked for.
        path: PathBuf,
    },
    /// A node cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The physical path of the node.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A socket, device or pipe: Nix never puts one into the store.
    #[error("{path} is neither a file, a directory nor a symlink")]
    UnsupportedNode {
        /// The physical path of the node.
        path: PathBuf,
    },
    /// A file's length changed while it was read, so its bytes cannot be trusted.
    #[error("{path} changed while it was read: expected {expected} bytes, found {found}")]
    Changed {
        /// The physical path of the file.
        path: PathBuf,
        /// Its size when it was opened, in bytes.
        expected: u64,
        /// The bytes that were read until its end, or more than `expected`.
        found: u64,
    },
    /// The visitor could not take a node.
    #[error("cannot pass on {path}")]
    Visitor {
        /// The physical path of the node.
        path: PathBuf,
        /// The visitor's reason.
        #[source]
        source: io::Error,
    },
}
