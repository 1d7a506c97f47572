//! A private directory for one service, removed together with everything that still runs or is mounted in it.
//!
//! All directories of one user lie in `floe-testkit-<uid>` in the temporary directory, and each name carries the
//! process that owns it: `<kind>.<process id>.<start time>.<random>`. The first directory that a process makes is
//! the moment when the remains of killed test runs are cleared away; see [`leftovers`].

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::{env, process};

use rustix::fs::FlockOperation;

use super::leftovers;

/// A unix socket's path has at most 107 bytes, and dockerd adds 38 of its own to its directory.
const MAX_PATH: usize = 68;

/// A private directory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The directory, or a file in it, could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The temporary directory's name is so long that no unix socket fits below it.
    #[error("`{}` is too long for a unix socket: set TMPDIR to a directory of at most 30 bytes", path.display())]
    TooLong {
        /// The directory that was to be made.
        path: PathBuf,
    },
    /// Somebody else made the directory, who could then read or replace what a test writes.
    #[error("`{}` is not a directory of user {user}: remove it or set TMPDIR", path.display())]
    Foreign {
        /// The directory for all of the user's services.
        path: PathBuf,
        /// The user's number.
        user: u32,
    },
}

/// A directory of one service of one test.
///
/// Dropping it runs the [teardown](Self::set_teardown), kills container monitors and containers that still use the
/// directory, unmounts what is mounted in it, and removes it.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes an empty directory that only this user can enter.
    ///
    /// `kind` is a short word for the name, such as `docker`; it holds no dot.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] when the temporary directory is not writable, is not ours, or has a very long name.
    pub fn new(kind: &str) -> Result<Self, DirectoryError> {
        let parent = parent()?;
        static CLEARED: Once = Once::new();
        CLEARED.call_once(|| clear_leftovers(&parent));

        let owner = process::id();
        let started = leftovers::start_time(owner).unwrap_or_default();
        let path = tempfile::Builder::new()
            .prefix(&format!("{kind}.{owner}.{started}."))
            .rand_bytes(4)
            .tempdir_in(&parent)
            .map_err(|source| DirectoryError::Write { path: parent.clone(), source })?
            .keep();
        let directory = Self { path };
        if directory.path.as_os_str().len() > MAX_PATH {
            return Err(DirectoryError::TooLong { path: directory.path.clone() });
        }
        Ok(directory)
    }

    /// The directory's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The absolute path of a file or directory in it, which need not exist.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file, readable by its owner alone, and returns its absolute path.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Write`].
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf, DirectoryError> {
        let path = self.join(name);
        fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o600)))
            .map_err(|source| DirectoryError::Write { path: path.clone(), source })?;
        Ok(path)
    }

    /// Makes an empty subdirectory and returns its absolute path.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Write`].
    pub fn create(&self, name: &str) -> Result<PathBuf, DirectoryError> {
        let path = self.join(name);
        fs::create_dir(&path).map_err(|source| DirectoryError::Write { path: path.clone(), source })?;
        Ok(path)
    }

    /// Sets the shell script that runs before the directory goes away, here or in a later test run.
    ///
    /// It is kept as a file, so that it survives a killed test run. It gets a minute.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Write`].
    pub fn set_teardown(&self, script: &str) -> Result<(), DirectoryError> {
        self.write(leftovers::TEARDOWN, script).map(drop)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        leftovers::reclaim(&self.path);
    }
}

/// Returns the directory of all of this user's services, and makes it where it is missing.
fn parent() -> Result<PathBuf, DirectoryError> {
    let user = rustix::process::getuid().as_raw();
    let path = env::temp_dir().join(format!("floe-testkit-{user}"));
    match DirBuilder::new().mode(0o700).create(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(DirectoryError::Write { path, source }),
    }
    let metadata =
        fs::symlink_metadata(&path).map_err(|source| DirectoryError::Write { path: path.clone(), source })?;
    if !metadata.is_dir() || metadata.uid() != user {
        return Err(DirectoryError::Foreign { path, user });
    }
    Ok(path)
}

/// Clears the directories whose owners are gone; test binaries that start together take turns.
fn clear_leftovers(parent: &Path) {
    // Clearing is a courtesy to the machine: a failure must not fail the test that happens to come first, since
    // names are unique and nothing collides with what is left.
    let Ok(lock) = File::create(parent.join("lock")) else { return };
    if rustix::fs::flock(&lock, FlockOperation::LockExclusive).is_ok() {
        leftovers::clear(parent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_away_with_its_owner_and_after_its_teardown() {
        let witness = tempfile::tempdir().expect("the temporary directory is writable");
        let directory = Directory::new("test").expect("the temporary directory is writable");
        let path = directory.path().to_owned();
        let seen = witness.path().join("seen");
        directory
            .set_teardown(&format!("ls {} >{}", path.display(), seen.display()))
            .expect("it is writable");
        directory.write("file", "content").expect("it is writable");
        drop(directory);
        assert!(!path.exists());
        assert_eq!(fs::read_to_string(seen).ok().as_deref(), Some("file\nteardown\n"));
    }

    #[test]
    fn the_remains_of_a_dead_process_are_cleared() {
        let living = Directory::new("test").expect("the temporary directory is writable");
        let parent = living.path().parent().expect("it was made in a parent");
        // No process has had the number 1 since the machine started at tick 0, but init at another tick.
        let dead = parent.join(format!("test.1.{}.dead", u64::MAX));
        fs::create_dir_all(dead.join("inner")).expect("the parent is writable");
        clear_leftovers(parent);
        assert!(!dead.exists());
        assert!(living.path().exists());
    }
}
