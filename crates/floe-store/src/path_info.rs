//! What Nix registers about one valid store path.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{NarHash, StorePath};

/// One valid path: its bytes' identity and what it refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathInfo {
    /// The path.
    pub path: StorePath,
    /// SHA-256 of the path's NAR.
    pub nar_hash: NarHash,
    /// Bytes of the path's NAR.
    pub nar_size: u64,
    /// The paths that this one's bytes mention; may hold the path itself.
    pub references: BTreeSet<StorePath>,
    /// The derivation that made the path, where Nix knows it.
    pub deriver: Option<StorePath>,
    /// The content address (`fixed:r:sha256:…`, `text:…`), for paths that have one.
    pub content_address: Option<String>,
}
