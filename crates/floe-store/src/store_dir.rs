//! A store directory is the logical folder whose children are store paths, `/nix/store` nearly always.
//!
//! It is part of every path's identity, so it stays apart from where the files physically lie
//! (a chroot store keeps `/nix/store/…` under another root).

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{ParseStorePathError, StorePath};

/// The logical store directory: absolute, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreDir(String);

/// Why a text is no store directory.
#[derive(Debug, thiserror::Error)]
#[error("store directory '{0}' is not an absolute path without '.', '..' or a trailing slash")]
pub struct ParseStoreDirError(String);

impl StoreDir {
    /// Parses an absolute path such as `/nix/store`.
    ///
    /// # Errors
    /// When the path is relative, is `/` itself, ends in a slash, or holds an empty, `.` or `..` part.
    pub fn new(path: impl Into<String>) -> Result<Self, ParseStoreDirError> {
        let path = path.into();
        let well_formed = path
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")));
        if well_formed { Ok(Self(path)) } else { Err(ParseStoreDirError(path)) }
    }

    /// The directory as text, such as `/nix/store`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full path of a store path: `/nix/store/<hash>-<name>`.
    #[must_use]
    pub fn full_path(&self, path: &StorePath) -> String {
        format!("{}/{path}", self.0)
    }

    /// Parses a full path that names exactly one store path.
    ///
    /// # Errors
    /// When the path is outside this directory, below a store path, or its base name is malformed.
    pub fn parse(&self, full_path: &str) -> Result<StorePath, ParseStorePathError> {
        let base_name = self.strip(full_path)?;
        base_name.parse()
    }

    /// Parses a full path that names a store path or something below one.
    ///
    /// # Errors
    /// When the path is outside this directory or its base name is malformed.
    pub fn containing(&self, path: &Path) -> Result<StorePath, ParseStorePathError> {
        let text = path.to_str().ok_or_else(|| ParseStorePathError::not_text(path))?;
        let below = self.strip(text)?;
        below.split('/').next().unwrap_or_default().parse()
    }

    fn strip<'a>(&self, full_path: &'a str) -> Result<&'a str, ParseStorePathError> {
        full_path
            .strip_prefix(self.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| ParseStorePathError::outside(full_path, self))
    }
}

impl Default for StoreDir {
    fn default() -> Self {
        Self("/nix/store".to_owned())
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for StoreDir {
    type Error = ParseStoreDirError;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        Self::new(path)
    }
}

impl From<StoreDir> for String {
    fn from(store_dir: StoreDir) -> Self {
        store_dir.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLIBC: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-glibc-2.36";

    #[test]
    fn parses_full_paths() {
        let store_dir = StoreDir::default();
        let path = store_dir.parse(&format!("/nix/store/{GLIBC}")).expect("a well-formed path");
        assert_eq!(path.as_str(), GLIBC);
        assert_eq!(store_dir.full_path(&path), format!("/nix/store/{GLIBC}"));
        let below = store_dir.containing(Path::new(&format!("/nix/store/{GLIBC}/lib/libc.so.6")));
        assert_eq!(below.expect("a path below a store path"), path);
    }

    #[test]
    fn refuses_paths_that_are_not_in_the_store() {
        let store_dir = StoreDir::default();
        for path in ["/nix/store", "/nix/store/", "/nix/storeX/a", "/etc/passwd", "", "/nix/store/short-name"]
        {
            assert!(store_dir.parse(path).is_err(), "{path}");
        }
        assert!(store_dir.parse(&format!("/nix/store/{GLIBC}/lib")).is_err());
    }

    #[test]
    fn refuses_directories_that_are_not_normal() {
        for path in ["", "/", "nix/store", "/nix/store/", "/nix//store", "/nix/../store", "/nix/."] {
            assert!(StoreDir::new(path).is_err(), "{path}");
        }
    }
}
