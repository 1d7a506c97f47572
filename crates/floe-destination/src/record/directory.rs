//! The record's directory: histories and documents, read by anyone and written under its lock.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Generation, History, Stray};
use crate::RepositoryName;
use crate::staging::{self, Staging};

/// The number of the form that is written; see [`super`].
const FORMAT: &str = "2";

/// The file that names the form.
const FORMAT_FILE: &str = "format";

/// The file whose lock a writer holds.
const LOCK: &str = ".lock";

/// The document of a name's generations and tags.
const HISTORY: &str = "_history.json";

/// The directory of a name's documents.
const GENERATIONS: &str = "_generations";

/// The largest document that is read, in bytes: a recipe of 100,000 store paths is a quarter of it.
const MAX_DOCUMENT: u64 = 64 * 1024 * 1024;

/// The record, in one directory.
#[derive(Clone, Debug)]
pub struct Record {
    directory: PathBuf,
}

/// The record while nobody else writes it; dropping it ends that.
#[derive(Debug)]
pub struct LockedRecord {
    record: Record,
    _lock: File,
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
    /// A document is no JSON, or not of the form that this version writes.
    #[error("'{}' is malformed", path.display())]
    Malformed {
        /// The document.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A later floe wrote the record; what this one does not understand it must not change.
    #[error("'{}' says that the record has form '{found}': expected {FORMAT}", path.display())]
    Newer {
        /// The file that names the form.
        path: PathBuf,
        /// What it says.
        found: String,
    },
}

impl Record {
    /// Names the record's directory, which is made with the first document.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The record's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether the record is in today's form, or not there at all; `false` means that it has the first form.
    ///
    /// # Errors
    ///
    /// When a later version of floe wrote it, or it cannot be read.
    pub fn is_current(&self) -> Result<bool, RecordError> {
        let path = self.directory.join(FORMAT_FILE);
        match fs::read_to_string(&path) {
            Ok(found) if found.trim_end() == FORMAT => Ok(true),
            Ok(found) => Err(RecordError::Newer { path, found: found.trim_end().chars().take(20).collect() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(!self.directory.exists()),
            Err(source) => Err(cannot("read", &path, source)),
        }
    }

    /// Waits until nobody else writes the record, and makes its directory.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or its lock not be had.
    pub fn lock(&self) -> Result<LockedRecord, RecordError> {
        let path = self.directory.join(LOCK);
        let lock = || {
            fs::create_dir_all(&self.directory)?;
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        };
        let lock = lock().map_err(|source| cannot("lock", &path, source))?;
        Ok(LockedRecord { record: self.clone(), _lock: lock })
    }

    /// A name's generations and tags; an empty history when nothing is recorded under it.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is malformed.
    pub fn history(&self, name: &RepositoryName) -> Result<History, RecordError> {
        Ok(read_document(&self.history_path(name))?.unwrap_or_default())
    }

    /// Reads a generation's document; `None` when there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is malformed.
    pub fn read<T: DeserializeOwned>(
        &self,
        name: &RepositoryName,
        number: Generation,
    ) -> Result<Option<T>, RecordError> {
        read_document(&self.document_path(name, number))
    }

    /// The names that have a history, sorted.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read.
    pub fn names(&self) -> Result<Vec<RepositoryName>, RecordError> {
        let directories = self.name_directories()?.into_iter();
        let named = directories.filter(|name| self.directory.join(name).join(HISTORY).is_file());
        // A directory whose name is no image's is not ours.
        let mut names: Vec<RepositoryName> = named.filter_map(|name| name.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Every directory that stands for a name or the beginning of one, relative to the record's.
    pub(super) fn name_directories(&self) -> Result<Vec<String>, RecordError> {
        let mut found = Vec::new();
        let mut pending = vec![String::new()];
        while let Some(name) = pending.pop() {
            for (file_name, is_directory) in children(&self.directory.join(&name))? {
                if is_directory && !file_name.starts_with(['.', '_']) {
                    let child = if name.is_empty() { file_name } else { format!("{name}/{file_name}") };
                    found.push(child.clone());
                    pending.push(child);
                }
            }
        }
        Ok(found)
    }

    fn history_path(&self, name: &RepositoryName) -> PathBuf {
        self.directory.join(name.as_str()).join(HISTORY)
    }

    fn document_path(&self, name: &RepositoryName, number: Generation) -> PathBuf {
        self.directory.join(name.as_str()).join(GENERATIONS).join(format!("{number}.json"))
    }
}

impl LockedRecord {
    /// Says that the record is in today's form.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn mark_current(&self) -> Result<(), RecordError> {
        self.replace(&self.directory.join(FORMAT_FILE), format!("{FORMAT}\n").as_bytes())
    }

    /// Writes a generation's document. It counts once the history names it.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or is no JSON.
    pub fn write(
        &self,
        name: &RepositoryName,
        number: Generation,
        document: &impl Serialize,
    ) -> Result<(), RecordError> {
        self.replace_json(&self.document_path(name, number), document)
    }

    /// Removes a generation's document, which no history names any more.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(&self, name: &RepositoryName, number: Generation) -> Result<(), RecordError> {
        remove_file(&self.document_path(name, number))
    }

    /// Replaces a name's history at once; an empty one is removed with everything else that the name had.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_history(&self, name: &RepositoryName, history: &History) -> Result<(), RecordError> {
        if history.is_empty() {
            self.remove_name(name)
        } else {
            self.replace_json(&self.history_path(name), history)
        }
    }

    /// Removes a name's history and documents, readable or not.
    ///
    /// # Errors
    ///
    /// When they cannot be removed.
    pub fn remove_name(&self, name: &RepositoryName) -> Result<(), RecordError> {
        remove_file(&self.history_path(name))?;
        let documents = self.directory.join(name.as_str()).join(GENERATIONS);
        match fs::remove_dir_all(&documents) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(cannot("remove", &documents, error));
            }
            _ => {}
        }
        // Directories that only this name needed; one that holds another name is not empty and stays.
        let mut directory = self.directory.join(name.as_str());
        while directory != self.directory && fs::remove_dir(&directory).is_ok() {
            directory.pop();
        }
        Ok(())
    }

    /// Documents that no history names, those of the first form that could not be rewritten, and what killed runs
    /// were writing.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read, or a history is malformed: what it names is not known then.
    pub fn strays(&self) -> Result<Vec<Stray>, RecordError> {
        let abandoned = staging::abandoned(&self.directory);
        let mut strays = abandoned.map_err(|source| cannot("read", &self.directory, source))?;
        for directory in self.name_directories()? {
            let history = match directory.parse() {
                Ok(name) => self.history(&name)?,
                Err(_) => continue,
            };
            let named: Vec<String> =
                history.generations().map(|(number, _)| format!("{number}.json")).collect();
            let documents = self.directory.join(&directory).join(GENERATIONS);
            for (file_name, _) in children(&documents)? {
                if !named.contains(&file_name) {
                    let path = documents.join(file_name);
                    strays.push(Stray::of(&path).map_err(|source| cannot("look at", &path, source))?);
                }
            }
        }
        for old in self.version_1()? {
            let path = old.path();
            strays.push(Stray::of(path).map_err(|source| cannot("look at", path, source))?);
        }
        Ok(strays)
    }

    fn replace_json(&self, path: &Path, document: &impl Serialize) -> Result<(), RecordError> {
        let bytes = serde_json::to_vec(document)
            .map_err(|source| RecordError::Malformed { path: path.to_owned(), source })?;
        self.replace(path, &bytes)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.directory))?;
            let staging = Staging::new(&self.directory)?;
            let staged = staging.path().join("document");
            let mut file = File::create_new(&staged)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&staged, path)
        };
        write().map_err(|source| cannot("write", path, source))
    }
}

impl Deref for LockedRecord {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

/// Reads a document; `None` when there is none.
pub(super) fn read_document<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RecordError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(cannot("open", path, source)),
    };
    let size = file.metadata().map_err(|source| cannot("look at", path, source))?.len();
    if size > MAX_DOCUMENT {
        return Err(RecordError::TooLarge { path: path.to_owned(), size });
    }
    let mut bytes = Vec::new();
    file.take(MAX_DOCUMENT).read_to_end(&mut bytes).map_err(|source| cannot("read", path, source))?;
    match serde_json::from_slice(&bytes) {
        Ok(document) => Ok(Some(document)),
        Err(source) => Err(RecordError::Malformed { path: path.to_owned(), source }),
    }
}

/// The names in a directory, and which are directories; none when it is not there. Names that are not UTF-8 are not ours.
pub(super) fn children(directory: &Path) -> Result<Vec<(String, bool)>, RecordError> {
    let read = || -> io::Result<Vec<(String, bool)>> {
        let mut children = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let is_directory = entry.file_type()?.is_dir();
            children.extend(entry.file_name().into_string().ok().map(|name| (name, is_directory)));
        }
        children.sort();
        Ok(children)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result.map_err(|source| cannot("read", directory, source)),
    }
}

pub(super) fn remove_file(path: &Path) -> Result<(), RecordError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("remove", path, error)),
        _ => Ok(()),
    }
}

pub(super) fn cannot(verb: &str, path: &Path, source: io::Error) -> RecordError {
    RecordError::Io { action: format!("{verb} {}", path.display()), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use floe_image::oci::Digest;
    use jiff::Timestamp;

    fn name(text: &str) -> RepositoryName {
        text.parse().expect("a name")
    }

    /// Records a document under a name, as the command line does.
    fn put(record: &LockedRecord, name: &RepositoryName, document: &str) -> Generation {
        let mut history = record.history(name).expect("it is readable");
        let number = history.add("latest", Digest::of(document.as_bytes()), 1, Timestamp::UNIX_EPOCH);
        record.write(name, number, &document).expect("it is writable");
        record.write_history(name, &history).expect("it is writable");
        number
    }

    #[test]
    fn keeps_documents_by_name_and_number() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let record = Record::new(&directory.path().join("floe"));
        assert!(record.is_current().expect("nothing is there"));
        assert_eq!(record.names().expect("an empty record"), []);
        let locked = record.lock().expect("nobody holds it");
        assert!(!record.is_current().expect("a directory without a form has the first"));
        locked.mark_current().expect("it is writable");
        let mut names = ["app", "app/web", "ghcr.io/t/app", "localhost:5000/app"].map(name);
        names.sort();
        for name in &names {
            assert_eq!(put(&locked, name, "first").to_string(), "1");
            assert_eq!(put(&locked, name, "second").to_string(), "2");
        }
        assert_eq!(record.names().expect("it is readable"), names);
        assert_eq!(record.read(&names[1], 2.into()).expect("it is readable"), Some("second".to_owned()));
        assert_eq!(record.read::<String>(&names[1], 3.into()).expect("it is readable"), None);
        locked.remove_name(&name("app")).expect("it is writable");
        assert_eq!(record.names().expect("it is readable").len(), 3, "app/web stays");
        for name in &names[1..] {
            locked.write_history(name, &History::default()).expect("it is writable");
        }
        let left: Vec<String> =
            children(record.directory()).expect("it is readable").into_iter().map(|(name, _)| name).collect();
        assert_eq!(left, [LOCK, FORMAT_FILE]);
    }

    #[test]
    fn names_the_malformed_document() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let record = Record::new(directory.path()).lock().expect("nobody holds it");
        let app = name("app");
        let number = put(&record, &app, "document");
        let path = record.document_path(&app, number);
        fs::write(&path, "{").expect("it is writable");
        let error = record.read::<String>(&app, number).expect_err("it is cut off");
        assert!(error.to_string().contains("app/_generations/1.json' is malformed"), "{error}");
        File::create(&path).and_then(|file| file.set_len(MAX_DOCUMENT + 1)).expect("it is writable");
        let error = record.read::<String>(&app, number).expect_err("it is too large");
        assert!(matches!(error, RecordError::TooLarge { .. }), "{error}");
        fs::write(record.history_path(&app), "{").expect("it is writable");
        assert!(matches!(record.history(&app), Err(RecordError::Malformed { .. })));
        fs::write(directory.path().join(FORMAT_FILE), "3\n").expect("it is writable");
        let error = record.is_current().expect_err("a later floe wrote it");
        assert!(error.to_string().ends_with("has form '3': expected 2"), "{error}");
    }

    #[test]
    fn finds_what_no_history_names() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let record = Record::new(directory.path()).lock().expect("nobody holds it");
        let app = name("app");
        put(&record, &app, "document");
        assert_eq!(record.strays().expect("it is readable"), []);
        record.write(&app, 7.into(), &"killed before the history was written").expect("it is writable");
        let killed = directory.path().join(format!("{}killed", staging::PREFIX));
        fs::create_dir(&killed).and_then(|()| fs::write(killed.join("document"), "12345")).expect("a file");
        let strays = record.strays().expect("it is readable");
        assert_eq!(strays.iter().map(|stray| stray.size).collect::<Vec<_>>(), [5, 39]);
        for stray in &strays {
            stray.remove().expect("it is ours");
            stray.remove().expect("twice is fine");
        }
        assert_eq!(record.strays().expect("it is readable"), []);
        assert_eq!(record.read(&app, 1.into()).expect("it is readable"), Some("document".to_owned()));
    }
}
