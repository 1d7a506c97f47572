//! Files of the record that no history names: what killed runs left behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::RecordError;
use super::directory::cannot;

/// A file or directory that nobody will read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Where it lies.
    pub path: PathBuf,
    /// The bytes of its files.
    pub size: u64,
}

impl Stray {
    /// Looks at how much lies at a path, whatever it is.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), size: size_of(path)? })
    }

    /// Removes it; does nothing when another run did.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(&self) -> Result<(), RecordError> {
        let removed = match fs::symlink_metadata(&self.path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&self.path),
            Ok(_) => fs::remove_file(&self.path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.map_err(|source| cannot("remove", &self.path, source)),
        }
    }
}

/// The bytes of a file, or of all files below a directory; what vanishes meanwhile has none.
fn size_of(path: &Path) -> io::Result<u64> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        metadata => metadata?,
    };
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut size = 0;
    for entry in fs::read_dir(path)? {
        size += size_of(&entry?.path())?;
    }
    Ok(size)
}
