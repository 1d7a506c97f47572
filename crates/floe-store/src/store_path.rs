//! A store path is one entry of the store: `<32 digits of Nix base 32>-<name>`.
//!
//! It is kept without its store directory, so that it orders and compares by its base name alone
//! (Nix `path.cc`, `checkName`).

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{StoreDir, nix32};

/// Digits of the hash part of a store path: 160 bits in base 32.
const HASH_DIGITS: usize = 32;

/// The longest name that Nix accepts, in bytes.
const LONGEST_NAME: usize = 211;

/// A store path's base name, `<hash>-<name>`; cheap to clone. Ordered by its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorePath(Arc<str>);

/// Why a text is no store path.
#[derive(Debug, thiserror::Error)]
pub enum ParseStorePathError {
    /// The path lies outside the store directory, so no Nix metadata describes it.
    #[error("'{path}' is not a path in the store directory {store_dir}")]
    OutsideStore {
        /// The path as it was given.
        path: String,
        /// The store directory that it was expected in.
        store_dir: StoreDir,
    },
    /// The path's base name does not have the form of a store path.
    #[error("'{base_name}' is not a store path: expected <32 base-32 digits>-<name>")]
    Malformed {
        /// The base name as it was given.
        base_name: String,
    },
}

impl ParseStorePathError {
    pub(crate) fn outside(path: &str, store_dir: &StoreDir) -> Self {
        Self::OutsideStore { path: path.to_owned(), store_dir: store_dir.clone() }
    }

    pub(crate) fn not_text(path: &Path) -> Self {
        Self::Malformed { base_name: path.display().to_string() }
    }
}

/// A package's name and version as Nix splits them: `nodejs` and `18.20.4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageName<'a> {
    /// The part before the version.
    pub name: &'a str,
    /// The version; empty when the path's name has none.
    pub version: &'a str,
}

impl StorePath {
    /// The base name, `<hash>-<name>`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 32 digits before the name.
    #[must_use]
    pub fn hash_part(&self) -> &str {
        &self.0[..HASH_DIGITS]
    }

    /// The name behind the hash, such as `nodejs-18.20.4`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0[HASH_DIGITS + 1..]
    }

    /// The name split at its version: at the first dash that no letter follows (Nix `parseDrvName`).
    #[must_use]
    pub fn package(&self) -> PackageName<'_> {
        let name = self.name();
        let dash = name
            .bytes()
            .zip(name.bytes().skip(1))
            .position(|(dash, next)| dash == b'-' && !next.is_ascii_alphabetic());
        match dash {
            Some(dash) => PackageName { name: &name[..dash], version: &name[dash + 1..] },
            None => PackageName { name, version: "" },
        }
    }
}

impl FromStr for StorePath {
    type Err = ParseStorePathError;

    fn from_str(base_name: &str) -> Result<Self, Self::Err> {
        if is_well_formed(base_name.as_bytes()) {
            Ok(Self(base_name.into()))
        } else {
            Err(ParseStorePathError::Malformed { base_name: base_name.to_owned() })
        }
    }
}

fn is_well_formed(base_name: &[u8]) -> bool {
    let Some((hash, rest)) = base_name.split_at_checked(HASH_DIGITS) else { return false };
    let [b'-', name @ ..] = rest else { return false };
    let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(byte);
    hash.iter().all(|byte| nix32::is_digit(*byte))
        && (1..=LONGEST_NAME).contains(&name.len())
        && name.iter().all(is_name_byte)
        && name != b"."
        && name != b".."
}

impl fmt::Display for StorePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for StorePath {
    type Error = ParseStorePathError;

    fn try_from(base_name: String) -> Result<Self, Self::Error> {
        base_name.parse()
    }
}

impl From<StorePath> for String {
    fn from(path: StorePath) -> Self {
        path.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0c0jcwbfj7rzfn3wz9wpp5wmgc9wd2g5";

    #[test]
    fn splits_into_hash_and_name() {
        let path: StorePath = format!("{HASH}-nodejs-18.20.4").parse().expect("a well-formed path");
        assert_eq!(path.hash_part(), HASH);
        assert_eq!(path.name(), "nodejs-18.20.4");
    }

    #[test]
    fn splits_the_name_as_nix_does() {
        for (name, expected) in [
            ("nodejs-18.20.4", ("nodejs", "18.20.4")),
            ("gcc-wrapper-12.3.0", ("gcc-wrapper", "12.3.0")),
            ("source", ("source", "")),
            ("python3.11-numpy-1.24", ("python3.11-numpy", "1.24")),
            ("a-", ("a-", "")),
            ("glibc-2.36-9+deb12u10", ("glibc", "2.36-9+deb12u10")),
        ] {
            let path: StorePath = format!("{HASH}-{name}").parse().expect("a well-formed path");
            let package = path.package();
            assert_eq!((package.name, package.version), expected, "{name}");
        }
    }

    #[test]
    fn refuses_what_nix_refuses() {
        let long = format!("{HASH}-{}", "x".repeat(212));
        for base_name in
            ["", HASH, "short-x", &format!("{HASH}-"), &format!("{HASH}-a b"), &format!("{HASH}-a/b"), &long]
        {
            assert!(base_name.parse::<StorePath>().is_err(), "{base_name}");
        }
        assert!(format!("e{}-x", &HASH[1..]).parse::<StorePath>().is_err());
    }
}
