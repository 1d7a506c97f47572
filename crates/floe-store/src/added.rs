//! A plain directory or file, taken for a store path without a store.
//!
//! A path on this disk comes in; what `nix-store --add` would register for it goes out, computed here, so that
//! it works on machines without Nix. Source: Nix `store-api.cc`, `makeFixedOutputPath` (recursive SHA-256, no
//! references) and `makeStorePath`; `hash.cc`, `compressHash`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::nar;
use crate::tree::WalkError;
use crate::{NarHash, PathInfo, StoreDir, StorePath, nix32};

/// Bytes of a store path's hash: a SHA-256 folded to 160 bits.
const FOLDED_HASH: usize = 20;

/// A plain directory or file with the store path that it would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// What Nix would register: no references, no deriver, content-addressed.
    pub info: PathInfo,
    /// Where the files lie, as an absolute path; for [`crate::tree::LocalTrees::add`].
    pub location: PathBuf,
}

/// Why a directory cannot stand for a store path.
#[derive(Debug, thiserror::Error)]
pub enum AddDirectoryError {
    /// The path has no last part to take a name from, or it cannot be found out.
    #[error("cannot tell the name of {}", path.display())]
    NoName {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The name holds a character that Nix forbids.
    #[error(
        "'{name}' cannot be the name of a store path: '{character}' is none of letters, digits and +-._?="
    )]
    BadCharacter {
        /// The name.
        name: String,
        /// The first such character.
        character: char,
    },
    /// The name is empty, `.`, `..`, or too long.
    #[error("'{name}' cannot be the name of a store path: expected 1 to 211 characters, not '.' or '..'")]
    BadName {
        /// The name.
        name: String,
    },
    /// The files cannot be read.
    #[error("cannot hash {}", path.display())]
    Hash {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: WalkError,
    },
}

/// Hashes a directory, file or symlink and names it as `nix-store --add` would.
///
/// `name` is the store path's name behind the hash; `None` takes the path's last part, as Nix does.
/// Reads every file once; the same bytes give the same store path on every machine. A symlink is not followed.
///
/// # Errors
/// When the name is none that Nix accepts, or a file cannot be read.
pub fn add_directory(
    path: &Path,
    name: Option<&str>,
    store_dir: &StoreDir,
) -> Result<Added, AddDirectoryError> {
    let location = std::path::absolute(path)
        // A slash at the end would follow a symlink.
        .map(|absolute| absolute.components().collect::<PathBuf>())
        .map_err(|source| AddDirectoryError::NoName { path: path.to_owned(), source })?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => last_part(&location)?,
    };
    check_name(&name)?;
    let (nar_hash, nar_size) = nar::hash_location(&location)
        .map_err(|source| AddDirectoryError::Hash { path: location.clone(), source })?;
    let path = store_path(&nar_hash, &name, store_dir)?;
    let content_address = Some(format!("fixed:r:{nar_hash}"));
    let references = BTreeSet::new();
    Ok(Added {
        info: PathInfo { path, nar_hash, nar_size, references, deriver: None, content_address },
        location,
    })
}

/// The last part of an absolute path; `..` at its end is looked up on the disk.
fn last_part(location: &Path) -> Result<String, AddDirectoryError> {
    let name = match location.components().next_back() {
        Some(Component::Normal(name)) => name.to_owned(),
        _ => std::fs::canonicalize(location)
            .and_then(|path| {
                let name = path.file_name().map(ToOwned::to_owned);
                name.ok_or_else(|| io::Error::other("the root directory has no name"))
            })
            .map_err(|source| AddDirectoryError::NoName { path: location.to_owned(), source })?,
    };
    // A name that is not UTF-8 keeps its replacement character, which is then refused by name.
    Ok(name.to_string_lossy().into_owned())
}

fn check_name(name: &str) -> Result<(), AddDirectoryError> {
    let is_allowed = |character: &char| character.is_ascii_alphanumeric() || "+-._?=".contains(*character);
    match name.chars().find(|character| !is_allowed(character)) {
        Some(character) => Err(AddDirectoryError::BadCharacter { name: name.to_owned(), character }),
        None => Ok(()),
    }
}

fn store_path(nar_hash: &NarHash, name: &str, store_dir: &StoreDir) -> Result<StorePath, AddDirectoryError> {
    let hex: String = nar_hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let fingerprint = Sha256::digest(format!("source:sha256:{hex}:{store_dir}:{name}"));
    let mut folded = [0_u8; FOLDED_HASH];
    for (index, byte) in fingerprint.iter().enumerate() {
        folded[index % FOLDED_HASH] ^= byte;
    }
    format!("{}-{name}", nix32::encode(&folded))
        .parse()
        .map_err(|_| AddDirectoryError::BadName { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_no_store_path_can_be_called() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let long = "x".repeat(212);
        for (name, expected) in [
            ("a b", "' ' is none of"),
            ("a/b", "'/' is none of"),
            ("é", "'é' is none of"),
            ("", "expected 1 to 211 characters"),
            ("..", "expected 1 to 211 characters"),
            (&long, "expected 1 to 211 characters"),
        ] {
            let error = add_directory(folder.path(), Some(name), &StoreDir::default()).expect_err(expected);
            assert!(error.to_string().contains(expected), "{error}");
        }
        let missing = add_directory(&folder.path().join("none"), None, &StoreDir::default());
        assert!(matches!(missing, Err(AddDirectoryError::Hash { source: WalkError::Missing { .. }, .. })));
        let root = add_directory(Path::new("/"), None, &StoreDir::default());
        assert!(matches!(root, Err(AddDirectoryError::NoName { .. })));
    }
}
