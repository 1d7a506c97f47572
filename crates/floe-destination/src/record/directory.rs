//! floe's own record of images: how each was made, by name, so that it can be packed again or compared.
//!
//! A document a name and tag, `<name>/_tags/<tag>.json`: no part of a name begins with `_`, so the two never meet. What a
//! document says is the caller's matter; here it is JSON. A document is replaced at once, the last writer wins.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ImageName;
use crate::staging::Staging;

/// The directory of a name's tags.
const TAGS: &str = "_tags";

/// The largest document that is read, in bytes: a recipe of 100,000 store paths is a quarter of it.
const MAX_DOCUMENT: u64 = 64 * 1024 * 1024;

/// The record, in one directory.
#[derive(Clone, Debug)]
pub struct Record {
    directory: PathBuf,
}

/// Why the record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file or directory could not be read or written.
    #[error("cannot {action}")]
    Io {
        /// What was tried, with the path.
        action: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A document is larger than any that floe writes.
    #[error("'{}' has {size} bytes: expected at most {MAX_DOCUMENT}", path.display())]
    TooLarge {
        /// The document.
        path: PathBuf,
        /// Its bytes.
        size: u64,
    },
    /// A document is no JSON, or not of the form that this version writes; building the image again replaces it.
    #[error("'{}' is malformed", path.display())]
    Malformed {
        /// The document.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

impl Record {
    /// Names the record's directory, which is made with the first document.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Writes an image's document in place of an earlier one.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written, or the document is no JSON.
    pub fn write(&self, name: &ImageName, document: &impl Serialize) -> Result<(), RecordError> {
        let path = self.path(name);
        let bytes = serde_json::to_vec(document)
            .map_err(|source| RecordError::Malformed { path: path.clone(), source })?;
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.directory))?;
            let staging = Staging::new(&self.directory)?;
            let staged = staging.path().join("document");
            let mut file = File::create_new(&staged)?;
            file.write_all(&bytes)?;
            file.sync_data()?;
            fs::rename(&staged, &path)
        };
        write().map_err(|source| cannot("write", &path, source))
    }

    /// Reads an image's document; `None` when there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is malformed.
    pub fn read<T: DeserializeOwned>(&self, name: &ImageName) -> Result<Option<T>, RecordError> {
        let path = self.path(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(cannot("open", &path, source)),
        };
        let size = file.metadata().map_err(|source| cannot("look at", &path, source))?.len();
        if size > MAX_DOCUMENT {
            return Err(RecordError::TooLarge { path, size });
        }
        let mut bytes = Vec::new();
        file.take(MAX_DOCUMENT).read_to_end(&mut bytes).map_err(|source| cannot("read", &path, source))?;
        match serde_json::from_slice(&bytes) {
            Ok(document) => Ok(Some(document)),
            Err(source) => Err(RecordError::Malformed { path, source }),
        }
    }

    /// Removes an image's document; returns whether there was one.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(&self, name: &ImageName) -> Result<bool, RecordError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(cannot("remove", &path, source)),
        }
    }

    /// The names of all images with a document, sorted.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read.
    pub fn list(&self) -> Result<Vec<ImageName>, RecordError> {
        let mut names = Vec::new();
        let mut pending = vec![String::new()];
        while let Some(name) = pending.pop() {
            let directory = self.directory.join(&name);
            for (file_name, is_directory) in children(&directory)? {
                let child = if name.is_empty() { file_name.clone() } else { format!("{name}/{file_name}") };
                if file_name == TAGS {
                    let tags = children(&directory.join(TAGS))?;
                    // A file that is no tag's is not ours.
                    names.extend(tags.iter().filter_map(|(tag, _)| {
                        format!("{name}:{}", tag.strip_suffix(".json")?).parse::<ImageName>().ok()
                    }));
                } else if is_directory && !file_name.starts_with('.') {
                    pending.push(child);
                }
            }
        }
        names.sort();
        Ok(names)
    }

    fn path(&self, name: &ImageName) -> PathBuf {
        self.directory.join(name.name()).join(TAGS).join(format!("{}.json", name.tag()))
    }
}

/// The names in a directory, and which are directories; none when it is not there. Names that are not UTF-8 are not ours.
fn children(directory: &Path) -> Result<Vec<(String, bool)>, RecordError> {
    let read = || -> io::Result<Vec<(String, bool)>> {
        let mut children = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let is_directory = entry.file_type()?.is_dir();
            children.extend(entry.file_name().into_string().ok().map(|name| (name, is_directory)));
        }
        Ok(children)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result.map_err(|source| cannot("read", directory, source)),
    }
}

fn cannot(verb: &str, path: &Path, source: io::Error) -> RecordError {
    RecordError::Io { action: format!("{verb} {}", path.display()), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ImageName {
        text.parse().expect("an image name")
    }

    #[test]
    fn keeps_a_document_for_each_name_and_tag() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let record = Record::new(&directory.path().join("floe"));
        assert_eq!(record.list().expect("an empty record"), []);
        let names =
            ["app:1", "app:_2.json", "app/web:1", "ghcr.io/t/app:1", "localhost:5000/app:1"].map(name);
        for (number, name) in names.iter().enumerate() {
            record.write(name, &"old").expect("it is writable");
            record.write(name, &number).expect("it is writable");
        }
        let mut sorted = names.to_vec();
        sorted.sort();
        assert_eq!(record.list().expect("it is readable"), sorted);
        for (number, name) in names.iter().enumerate() {
            assert_eq!(record.read(name).expect("it is readable"), Some(number));
        }
        assert!(record.remove(&names[0]).expect("it is writable"));
        assert!(!record.remove(&names[0]).expect("it is writable"));
        assert_eq!(record.read::<usize>(&names[0]).expect("it is readable"), None);
        assert_eq!(record.list().expect("it is readable").len(), 4);
    }

    #[test]
    fn names_the_malformed_document() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let record = Record::new(directory.path());
        let app = name("app:1");
        record.write(&app, &1).expect("it is writable");
        fs::write(record.path(&app), "{").expect("it is writable");
        let error = record.read::<usize>(&app).expect_err("it is cut off");
        assert!(error.to_string().contains("app/_tags/1.json' is malformed"), "{error}");
        File::create(record.path(&app))
            .and_then(|file| file.set_len(MAX_DOCUMENT + 1))
            .expect("it is writable");
        let error = record.read::<usize>(&app).expect_err("it is too large");
        assert!(matches!(error, RecordError::TooLarge { .. }), "{error}");
    }
}
