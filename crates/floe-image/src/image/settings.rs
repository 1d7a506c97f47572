//! What an image is asked to be, every default filled in, every value checked.

use std::collections::{BTreeMap, BTreeSet};

use floe_store::StorePath;
use jiff::Timestamp;

use super::Base;
use crate::layer::Owner;
use crate::layer::root_tree::{Conflicts, RootEntry};
use crate::oci::{Healthcheck, Platform};
use crate::plan::Policy;

/// What an image is asked to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the image runs on.
    pub platform: Platform,
    /// When the image counts as made; part of its digest.
    pub created: Timestamp,
    /// The image that it is built upon.
    pub base: Option<Base>,
    /// Who runs in it; `None`: the base's user, else 1000:1000.
    pub user: Option<User>,
    /// What is always run; `None`: the base's, else the first root's own program, when it has one.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments of the entrypoint.
    pub cmd: Option<Vec<String>>,
    /// Variables; they win over those that floe sets itself.
    pub env: BTreeMap<String, String>,
    /// Where the process starts; made, and owned by the user, when it is outside the store.
    pub workdir: Option<String>,
    /// Ports such as `3000/tcp`.
    pub ports: BTreeSet<String>,
    /// Folders that are volumes; made, and owned by the user.
    pub volumes: BTreeSet<String>,
    /// Labels of the config.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// The signal that stops the process.
    pub stop_signal: Option<String>,
    /// How the engine sees whether the container is well.
    pub healthcheck: Option<Healthcheck>,
    /// Variables that a container cannot do without.
    pub required_env: BTreeSet<String>,
    /// Packages of the closure whose trees are linked into `/`, first one first.
    pub root: Vec<StorePath>,
    /// What happens when two of them hold the same file.
    pub root_conflicts: Conflicts,
    /// Literal files; they win over floe's own and over packages.
    pub files: Vec<RootEntry>,
    /// How store paths are shared out into layers, the root's layer not counted.
    pub policy: Policy,
}

/// Who runs in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The numeric user and group.
    pub owner: Owner,
}

impl User {
    /// root, 0:0.
    pub const ROOT: Self = Self { owner: Owner { uid: 0, gid: 0 } };

    /// The user's name in `/etc/passwd`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.owner.uid == 0 { "root" } else { "user" }
    }

    /// The user's home.
    #[must_use]
    pub fn home(&self) -> &'static str {
        if self.owner.uid == 0 { "/root" } else { "/home/user" }
    }
}

impl Default for User {
    /// 1000:1000, which Kubernetes accepts where it refuses root.
    fn default() -> Self {
        Self { owner: Owner { uid: 1000, gid: 1000 } }
    }
}
