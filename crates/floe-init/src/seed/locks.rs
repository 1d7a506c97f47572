//! Locks: files that are locked with flock(2), as Nix's own are, waited for up to a deadline.
//!
//! Nix's locks that matter here (Nix `gc.cc`, `local-store.cc`, `pathlocks.cc`): `gc.lock`, held exclusively while
//! garbage is collected; `db/big-lock`, exclusively while the schema changes; `<path>.lock` and `<profile>.lock`
//! while either is written. A path's lock file is removed by its holder, who first leaves a byte in it, so that those
//! who wait for it see that it went stale.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::progress::Stop;

/// How long to sleep between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether others may hold the lock too.
#[derive(Clone, Copy)]
pub(super) enum Share {
    /// No one else.
    Exclusive,
    /// Others who share it.
    Shared,
}

/// A lock, held until it is dropped.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    removed_after: bool,
}

/// Why a lock could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// The file cannot be opened or locked.
    #[error("cannot lock {}", path.display())]
    Unusable {
        /// The lock's file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Somebody held it until the deadline.
    #[error("{} is still locked by {holder} after {} seconds", path.display(), waited.as_secs())]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// Who holds such a lock.
        holder: &'static str,
        /// How long was waited.
        waited: Duration,
    },
    /// This program was asked to end while it waited.
    #[error("stopped while waiting for {}", path.display())]
    Stopped {
        /// The lock's file.
        path: PathBuf,
    },
}

/// What all locks of one run have in common.
pub(super) struct Patience<'a> {
    pub(super) timeout: Duration,
    pub(super) stop: &'a Stop,
    /// Is told once for each lock that must be waited for: its holder.
    pub(super) waiting: &'a (dyn Fn(&str) + Sync),
}

impl Patience<'_> {
    /// Holds a lock whose file stays.
    pub(super) fn hold(&self, path: &Path, share: Share, holder: &'static str) -> Result<Lock, LockError> {
        let unusable = |source| LockError::Unusable { path: path.to_owned(), source };
        let file = open(path).map_err(unusable)?;
        self.lock(&file, path, share, holder)?;
        Ok(Lock { file, path: path.to_owned(), removed_after: false })
    }

    /// Holds Nix's lock of a store path or profile: `<path>.lock`, which is gone afterwards.
    pub(super) fn hold_path(&self, path: &Path) -> Result<Lock, LockError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let unusable = |source| LockError::Unusable { path: path.clone(), source };
        loop {
            let file = open(&path).map_err(unusable)?;
            self.lock(&file, &path, Share::Exclusive, "Nix")?;
            // A byte in it: its holder removed it while it was waited for, and others may have made a new one.
            if file.metadata().map_err(unusable)?.len() == 0 {
                return Ok(Lock { file, path, removed_after: true });
            }
        }
    }

    fn lock(&self, file: &File, path: &Path, share: Share, holder: &'static str) -> Result<(), LockError> {
        let operation = match share {
            Share::Exclusive => FlockOperation::NonBlockingLockExclusive,
            Share::Shared => FlockOperation::NonBlockingLockShared,
        };
        let begin = Instant::now();
        let mut is_announced = false;
        loop {
            match flock(file, operation) {
                Ok(()) => return Ok(()),
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(error) => {
                    return Err(LockError::Unusable { path: path.to_owned(), source: error.into() });
                }
            }
            if self.stop.is_asked() {
                return Err(LockError::Stopped { path: path.to_owned() });
            }
            if begin.elapsed() >= self.timeout {
                return Err(LockError::Held { path: path.to_owned(), holder, waited: self.timeout });
            }
            if !is_announced {
                (self.waiting)(holder);
                is_announced = true;
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.removed_after {
            // Both only spare others a look at a stale file; Nix removes those that stay when it collects garbage.
            std::fs::remove_file(&self.path).ok();
            self.file.write_all(b"d").ok();
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
