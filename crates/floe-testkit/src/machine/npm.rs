//! Archives of the npm registry, fetched by npm itself: whatever registry it is configured for.

use std::path::PathBuf;
use std::process::Command;

use super::cache::{CacheError, cache_directory};
use super::process::{ProcessError, run};

/// An error from fetching an archive.
#[derive(Debug, thiserror::Error)]
pub enum NpmError {
    /// The cache directory cannot be used.
    #[error("cannot make a place for archives of npm")]
    Cache {
        /// Why not.
        #[source]
        source: CacheError,
    },
    /// npm is missing, or could not fetch the archive.
    #[error("cannot fetch {package} {version} with npm")]
    Process {
        /// The package's name.
        package: String,
        /// Its version.
        version: String,
        /// What npm said.
        #[source]
        source: ProcessError,
    },
}

/// Returns the archive of a package, `<package>-<version>.tgz`, fetching it when it is not there.
///
/// # Errors
///
/// When the cache cannot be written, npm is missing, or the registry does not have that version.
pub fn npm_archive(package: &str, version: &str) -> Result<PathBuf, NpmError> {
    let directory = cache_directory("npm").map_err(|source| NpmError::Cache { source })?;
    let archive = directory.join(format!("{package}-{version}.tgz"));
    if !archive.is_file() {
        let mut npm = Command::new("npm");
        npm.args(["pack", "--pack-destination"]).arg(&directory).arg(format!("{package}@{version}"));
        run(npm.current_dir(&directory)).map_err(|source| NpmError::Process {
            package: package.to_owned(),
            version: version.to_owned(),
            source,
        })?;
    }
    Ok(archive)
}
