//! Newer Nix than Debian 12 has, in a root of its own: the packages of a newer release, unpacked and never configured.
//!
//! A command runs in it, in mounts of its own that go when it ends: its store is fresh, and the machine's is
//! not touched. Needs root.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::apt::{AptError, AptRoot, Release};
use super::cache::{CacheError, cache_directory, hold_lock};

/// What a root holds: Nix, and what a script needs.
const PACKAGES: [&str; 4] = ["nix-bin", "bash", "coreutils", "base-files"];

/// Gives the command its mounts: `/proc`, `/dev`, an empty store, and the caller's folder at `/mnt`. The root becomes that
/// of the mounts, since the kernel lets nobody make user namespaces, as Nix's sandbox does, from inside of a `chroot`.
const ENTER: &str = "\
set -e
root=$1 folder=$2
shift 2
mount --rbind \"$root\" \"$root\"
mount -t proc proc \"$root/proc\"
mount --rbind /dev \"$root/dev\"
for fresh in nix tmp run; do mount -t tmpfs tmpfs \"$root/$fresh\"; done
mount --bind \"$folder\" \"$root/mnt\"
mkdir \"$root/run/old\"
cd \"$root\"
pivot_root . run/old
cd /
exec \"$@\"
";

/// An error from making a root.
#[derive(Debug, thiserror::Error)]
pub enum NixRootError {
    /// The cache directory cannot be used.
    #[error("cannot make a place for a newer Nix")]
    Cache {
        /// Why not.
        #[source]
        source: CacheError,
    },
    /// apt could not fetch the packages.
    #[error("cannot fetch a newer Nix")]
    Apt {
        /// Why not.
        #[source]
        source: AptError,
    },
}

/// A release's Nix with all that it needs.
#[derive(Debug)]
pub struct NixRoot {
    root: PathBuf,
}

impl NixRoot {
    /// Returns the root of a Debian release, `trixie` or `sid`; the first call downloads about 60 MB.
    ///
    /// # Errors
    ///
    /// When Debian's mirror cannot be reached or the cache cannot be written.
    pub fn of_release(suite: &str) -> Result<Self, NixRootError> {
        let directory =
            cache_directory(&format!("nix/{suite}")).map_err(|source| NixRootError::Cache { source })?;
        let root = directory.join("root");
        let _lock = hold_lock(&directory).map_err(|source| NixRootError::Cache { source })?;
        // The last that is unpacked is renamed into place.
        if !root.is_dir() {
            let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
            let release = Release {
                suite: suite.to_owned(),
                has_updates: false,
                architecture: architecture.to_owned(),
            };
            let unpack = || {
                let apt = AptRoot::open(&directory.join("apt"), release)?;
                apt.update()?;
                apt.unpack_with_dependencies(&PACKAGES, &root)
            };
            unpack().map_err(|source| NixRootError::Apt { source })?;
        }
        Ok(Self { root })
    }

    /// A command in the root, with `folder` at `/mnt`, and arguments still to be added.
    #[must_use]
    pub fn command(&self, folder: &Path, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", ENTER, "enter"]).arg(&self.root).arg(folder).arg(program);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/tmp");
        command
    }
}
