//! The volume as the seeded side: `<root>/nix` and, for an init step, `<root>/home/<user>`.
//!
//! The volume's own root is never touched but for these two names, so `lost+found` and a root that belongs to somebody
//! else do no harm.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use floe_store::StorePath;
use rustix::process::geteuid;

/// Directories of a single user's Nix below `nix`, parents first. Nix wants `per-user` to be exactly 0755.
const DIRECTORIES: [&str; 13] = [
    "store",
    "var",
    "var/nix",
    "var/nix/db",
    "var/nix/gcroots",
    "var/nix/gcroots/auto",
    "var/nix/gcroots/per-user",
    "var/nix/gcroots/floe",
    "var/nix/profiles",
    "var/nix/profiles/per-user",
    "var/nix/temproots",
    ".floe",
    ".floe/tmp",
];

/// Where a volume's `/nix` lies while it is seeded.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    pub(crate) nix: PathBuf,
}

/// Why a volume cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    /// The mount is missing: everything would go into the container's own root and be lost with it.
    #[error("{} is no directory: expected the volume to be mounted there", root.display())]
    NotThere {
        /// Where the volume was expected.
        root: PathBuf,
    },
    /// The store on the volume is another user's; Nix refuses to work in it, whatever its permissions.
    #[error(
        "{} belongs to uid {found}, and this is uid {expected}: a single user's store works for that user alone",
        store.display()
    )]
    Foreign {
        /// The store's directory.
        store: PathBuf,
        /// Its owner.
        found: u32,
        /// This process's user.
        expected: u32,
    },
    /// A directory cannot be made.
    #[error("cannot make {}", directory.display())]
    Make {
        /// The directory.
        directory: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Something is there and cannot be looked at.
    #[error("cannot look at {}", path.display())]
    Unreadable {
        /// What it is.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl Volume {
    /// The volume whose `/nix` lies below `root`.
    pub(crate) fn below(root: &Path) -> Self {
        Self { nix: root.join("nix") }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.nix.join("store")
    }

    pub(crate) fn location(&self, path: &StorePath) -> PathBuf {
        self.store().join(path.as_str())
    }

    /// A path below Nix's state directory.
    pub(crate) fn state(&self, relative: &str) -> PathBuf {
        self.nix.join("var/nix").join(relative)
    }

    /// A path below what is floe's own.
    pub(crate) fn floe(&self, relative: &str) -> PathBuf {
        self.nix.join(".floe").join(relative)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.state("db/db.sqlite")
    }
}

/// Refuses a store of another user, then makes the directories that are missing, all with mode 0755.
pub(super) fn prepare(volume: &Volume, user: &str) -> Result<(), VolumeError> {
    let root = volume.nix.parent().unwrap_or(Path::new("/"));
    if !root.is_dir() {
        return Err(VolumeError::NotThere { root: root.to_owned() });
    }
    refuse_foreign(&volume.store())?;
    make_directory(&volume.nix)?;
    for directory in DIRECTORIES {
        make_directory(&volume.nix.join(directory))?;
    }
    make_directory(&volume.state("profiles/per-user").join(user))?;
    let per_user = volume.state("gcroots/profiles");
    match symlink("../profiles", &per_user) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(VolumeError::Make { directory: per_user, source })
        }
        _ => Ok(()),
    }
}

/// Makes `home/<user>` beside `nix`, for the main container to mount as the user's home.
pub(super) fn prepare_home(volume: &Volume, user: &str) -> Result<(), VolumeError> {
    let home = volume.nix.with_file_name("home");
    make_directory(&home)?;
    make_directory(&home.join(user))
}

fn refuse_foreign(store: &Path) -> Result<(), VolumeError> {
    let expected = geteuid().as_raw();
    match std::fs::symlink_metadata(store) {
        Ok(metadata) if metadata.uid() == expected => Ok(()),
        Ok(metadata) => {
            Err(VolumeError::Foreign { store: store.to_owned(), found: metadata.uid(), expected })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(VolumeError::Unreadable { path: store.to_owned(), source }),
    }
}

fn make_directory(directory: &Path) -> Result<(), VolumeError> {
    let make = || {
        match DirBuilder::new().mode(0o755).create(directory) {
            // The umask may have taken bits away that Nix wants.
            Ok(()) => std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    };
    make().map_err(|source| VolumeError::Make { directory: directory.to_owned(), source })
}
