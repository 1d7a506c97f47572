//! What a layer holds, named so that the bytes follow: store paths by their NAR hashes, root files by value.

use floe_store::{NarHash, StoreDir, StorePath};
use serde::{Deserialize, Serialize};

use super::root_tree::{RootEntry, RootTree};

/// What one layer holds. Equal contents with equal compression give equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum LayerContents {
    /// Whole store paths under the store directory.
    StorePaths {
        /// Where the paths belong.
        store_dir: StoreDir,
        /// The paths. Invariant: sorted by base name, without duplicates.
        paths: Vec<StoreEntry>,
        /// Who owns each file.
        owner: Owner,
    },
    /// What stands outside the store: links to packages, literal files, folders.
    Root(RootTree),
    /// Nodes outside the store, exactly these: what a root tree comes to above a base, whose directories stay as they are.
    Entries {
        /// The nodes. Invariant: sorted by the parts of their paths, each path once.
        entries: Vec<RootEntry>,
    },
}

/// One store path with the identity of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreEntry {
    /// The path.
    pub path: StorePath,
    /// SHA-256 of its NAR: packing fails when the files give another.
    pub nar_hash: NarHash,
    /// Bytes of its NAR.
    pub nar_size: u64,
}

/// The numeric owner of files in a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl LayerContents {
    /// The store paths, sorted by base name; none for what stands outside the store.
    #[must_use]
    pub fn store_paths(&self) -> &[StoreEntry] {
        match self {
            Self::StorePaths { paths, .. } => paths,
            Self::Root(_) | Self::Entries { .. } => &[],
        }
    }

    /// The bytes of content that packing reads, for progress: the NAR sizes, or 0 for what stands outside the store.
    #[must_use]
    pub fn nar_size(&self) -> u64 {
        self.store_paths().iter().map(|entry| entry.nar_size).sum()
    }
}
