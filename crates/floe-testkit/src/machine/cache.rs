//! Where tests keep what is expensive to make, and the lock that lets only one process make it.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// An error about the directory of expensive things.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path} as a cache for tests")]
pub struct CacheError {
    /// The directory or file at fault.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Returns the directory `name` of the cache, made when absent.
///
/// The cache is `$FLOE_TEST_CACHE` when that is set and the workspace's `target/` otherwise; it may be deleted
/// at any time.
///
/// # Errors
///
/// When the directory cannot be made.
pub fn cache_directory(name: &str) -> Result<PathBuf, CacheError> {
    let base = env::var_os("FLOE_TEST_CACHE").map_or_else(workspace_target, PathBuf::from);
    let path = base.join(name);
    fs::create_dir_all(&path).map_err(|source| CacheError { path: path.clone(), source })?;
    path.canonicalize().map_err(|source| CacheError { path, source })
}

fn workspace_target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")
}

/// Waits until no other process holds the lock of `directory`, and holds it until the file is dropped.
///
/// # Errors
///
/// When the lock file cannot be made or locked.
pub fn hold_lock(directory: &Path) -> Result<File, CacheError> {
    let path = directory.join(".lock");
    let lock = || {
        let file = File::create(&path)?;
        file.lock()?;
        Ok(file)
    };
    lock().map_err(|source| CacheError { path: path.clone(), source })
}
