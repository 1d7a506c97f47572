//! Newer programs of other people than Debian 12 has: crane, oras, umoci, cosign.
//!
//! They are single Go programs, so a package of Debian's development release runs as it is once unpacked. They
//! live in the cache and not on the machine's `PATH`, so that a test says which of two versions it means.

use std::path::{Path, PathBuf};

use super::apt::{AptError, AptRoot, Release};
use super::cache::{CacheError, cache_directory, hold_lock};

/// Debian's names of the packages, which are the programs' names too.
const PEERS: [&str; 4] = ["cosign", "crane", "oras", "umoci"];

/// An error from fetching newer programs.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The cache directory cannot be used.
    #[error("cannot make a place for newer programs")]
    Cache {
        /// Why not.
        #[source]
        source: CacheError,
    },
    /// apt could not fetch a package.
    #[error("cannot fetch newer programs")]
    Apt {
        /// Why not.
        #[source]
        source: AptError,
    },
    /// The name is none of the programs that are fetched.
    #[error("no newer program {program} is kept: expected one of {}", PEERS.join(", "))]
    Unknown {
        /// The name that was asked for.
        program: String,
    },
}

/// Returns the path of a newer program, fetching all of them when it is not there.
///
/// # Errors
///
/// When the program is not one of cosign, crane, oras and umoci, or cannot be fetched.
pub fn peer(program: &str) -> Result<PathBuf, PeerError> {
    if !PEERS.contains(&program) {
        return Err(PeerError::Unknown { program: program.to_owned() });
    }
    Ok(install_peers()?.join(program))
}

/// Fetches the newer programs that are not there and returns the directory that holds them all.
///
/// # Errors
///
/// When Debian's mirror cannot be reached or the cache cannot be written.
pub fn install_peers() -> Result<PathBuf, PeerError> {
    let directory = cache_directory("peers").map_err(|source| PeerError::Cache { source })?;
    let programs = directory.join("usr/bin");
    let complete = || PEERS.iter().all(|program| programs.join(program).is_file());
    if complete() {
        return Ok(programs);
    }
    let _lock = hold_lock(&directory).map_err(|source| PeerError::Cache { source })?;
    if !complete() {
        fetch(&directory).map_err(|source| PeerError::Apt { source })?;
    }
    Ok(programs)
}

fn fetch(directory: &Path) -> Result<(), AptError> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let release =
        Release { suite: "sid".to_owned(), has_updates: false, architecture: architecture.to_owned() };
    let apt = AptRoot::open(&directory.join("apt"), release)?;
    // The release changes daily: lists that an earlier attempt left name files that are gone.
    apt.update()?;
    PEERS.iter().try_for_each(|package| apt.unpack_newest(package, directory))
}
