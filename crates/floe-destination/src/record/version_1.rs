//! The record's first form, which had no generations: one document a tag, `<name>/_tags/<tag>.json`.
//!
//! It is read once, to be written again in today's form. Delete this when nobody's record can be that old.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::directory::{children, read_document, remove_file};
use super::{LockedRecord, RecordError};
use crate::ImageName;

/// The directory of a name's tags.
const TAGS: &str = "_tags";

/// A document of the first form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version1 {
    /// The name and tag that it belongs to.
    pub name: ImageName,
    path: PathBuf,
}

impl LockedRecord {
    /// The documents of the first form, sorted by name.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read.
    pub fn version_1(&self) -> Result<Vec<Version1>, RecordError> {
        let mut found = Vec::new();
        for directory in self.name_directories()? {
            let tags = self.directory().join(&directory).join(TAGS);
            for (file_name, _) in children(&tags)? {
                let tag = file_name.strip_suffix(".json");
                // A file that is no tag's is not ours.
                let name = tag.and_then(|tag| format!("{directory}:{tag}").parse().ok());
                found.extend(name.map(|name| Version1 { name, path: tags.join(&file_name) }));
            }
        }
        found.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(found)
    }
}

impl Version1 {
    /// Where the document lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the document.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is malformed.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, RecordError> {
        read_document(&self.path)
    }

    /// Removes the document, which is then written in today's form, and its directory when it was the last.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(&self) -> Result<(), RecordError> {
        remove_file(&self.path)?;
        // The directory is removed with its last document; before that it is not empty.
        drop(self.path.parent().map(std::fs::remove_dir));
        Ok(())
    }
}
