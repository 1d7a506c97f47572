//! `floe.lock`: which digests the bases of a `floe.toml` stood for when they were last looked at.
//!
//! It lies beside the `floe.toml` and is meant to be committed. Names come sorted, so that the same bases give the same
//! file; it is replaced at once, and only when something changed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use floe_image::oci::Digest;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};

/// The form of the file; a reader accepts no other.
const VERSION: u32 = 1;

/// The largest file that is read: some thousand bases.
const LARGEST_LOCK: u64 = 1 << 20;

/// What the file begins with.
const HEADER: &str = "\
# The images that the bases of floe.toml stand for. Written by floe, to be committed with floe.toml;
# `floe lock --update` looks at the names again.
";

/// A lock that was read, and perhaps changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    path: PathBuf,
    bases: BTreeMap<String, Locked>,
    is_changed: bool,
}

/// What one name stood for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Locked {
    /// The manifest's digest, or the index's.
    pub(crate) digest: Digest,
    /// The images of each platform, for people: they follow from the digest.
    pub(crate) manifests: BTreeMap<String, Digest>,
}

/// The file's form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    #[serde(default)]
    base: Vec<DocumentBase>,
}

#[derive(Serialize, Deserialize)]
struct DocumentBase {
    name: String,
    #[serde(flatten)]
    locked: Locked,
}

impl Lock {
    /// Reads the lock of a `floe.toml`; where there is none, nothing is locked.
    pub(crate) fn read(configuration: &Path) -> Outcome<Self> {
        let path = configuration.with_extension("lock");
        let empty = Self { path: path.clone(), bases: BTreeMap::new(), is_changed: false };
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(LARGEST_LOCK).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(empty),
            Err(error) => {
                let failure = anyhow::Error::new(error).context(format!("cannot read {}", path.display()));
                return Err(Failure::from(failure).hint(RENEW));
            }
            Ok(_) => {}
        }
        let malformed =
            |reason: &str| Failure::failed(format!("{} is malformed: {reason}", path.display())).hint(RENEW);
        let document: Document = toml::from_str(&text).map_err(|error| malformed(error.message()))?;
        if document.version != VERSION {
            return Err(malformed(&format!("version is {}: expected {VERSION}", document.version)));
        }
        let bases = document.base.into_iter().map(|base| (base.name, base.locked)).collect();
        Ok(Self { bases, ..empty })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What a name stood for.
    pub(crate) fn get(&self, name: &str) -> Option<&Locked> {
        self.bases.get(name)
    }

    /// Says what a name stands for now.
    pub(crate) fn set(&mut self, name: &str, locked: Locked) {
        let before = self.bases.insert(name.to_owned(), locked.clone());
        self.is_changed |= before.is_none_or(|before| before != locked);
    }

    /// Forgets every other name than these.
    pub(crate) fn retain(&mut self, names: &[&str]) {
        let before = self.bases.len();
        self.bases.retain(|name, _| names.contains(&name.as_str()));
        self.is_changed |= self.bases.len() != before;
    }

    /// Whether the file says something else.
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Writes the file, if it says something else.
    pub(crate) fn write(&self) -> Outcome {
        if !self.is_changed {
            return Ok(());
        }
        let write = || {
            let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = directory.unwrap_or(Path::new("."));
            let mut file = tempfile::Builder::new().prefix(".floe-lock-").tempfile_in(directory)?;
            file.write_all(self.text().as_bytes())?;
            // A file of the project, which others may read like the rest of it.
            let mode = fs::metadata(directory)?.permissions();
            let readable = std::os::unix::fs::PermissionsExt::mode(&mode) & 0o444;
            fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o600 | readable))?;
            file.persist(&self.path)?;
            Ok::<_, io::Error>(())
        };
        write().map_err(|error| {
            let failure = anyhow::Error::new(error).context(format!("cannot write {}", self.path.display()));
            Failure::from(failure)
                .hint("let this user write there, or name the base by its digest: docker://NAME@sha256:…")
        })
    }

    fn text(&self) -> String {
        let base =
            |(name, locked): (&String, &Locked)| DocumentBase { name: name.clone(), locked: locked.clone() };
        let document = Document { version: VERSION, base: self.bases.iter().map(base).collect() };
        let text = toml::to_string(&document).expect("strings, numbers and tables are TOML");
        format!("{HEADER}{text}")
    }
}

/// Reads the text of a lock; the `Err` says what is wrong with it.
fn parse(text: &str) -> Result<BTreeMap<String, Locked>, String> {
    let document: Document = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    if document.version != VERSION {
        return Err(format!("version is {}: expected {VERSION}", document.version));
    }
    Ok(document.base.into_iter().map(|base| (base.name, base.locked)).collect())
}

/// Reads the text of a `floe.lock`, and says what is wrong with it.
///
/// # Errors
/// When the text is no lock that this version of floe reads.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

const RENEW: &str = "remove it and write it anew: floe lock";

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(text: &str) -> Locked {
        let digest = Digest::of(text.as_bytes());
        Locked { digest, manifests: BTreeMap::from([("linux/amd64".to_owned(), digest)]) }
    }

    #[test]
    fn comes_back_sorted_and_only_when_it_changed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let toml = folder.path().join("floe.toml");
        let mut lock = Lock::read(&toml).expect("nothing is locked");
        lock.write().expect("nothing is written");
        assert!(!folder.path().join("floe.lock").exists());
        lock.set("oci:b", locked("b"));
        lock.set("docker://a:1", locked("a"));
        lock.write().expect("it is written");
        let text = fs::read_to_string(folder.path().join("floe.lock")).expect("a file");
        assert!(text.find("docker://a:1") < text.find("oci:b"), "{text}");
        let mut again = Lock::read(&toml).expect("a lock");
        assert_eq!(again.get("oci:b"), Some(&locked("b")));
        again.set("oci:b", locked("b"));
        assert!(!again.is_changed());
        again.retain(&["oci:b"]);
        assert!(again.is_changed() && again.get("docker://a:1").is_none());
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let toml = folder.path().join("floe.toml");
        for text in [
            "version = 2",
            "",
            "version = 1\nbases = []",
            "[[base]]",
            "version = 1\n[[base]]\nname = \"a\"",
            "\u{0}",
        ] {
            fs::write(folder.path().join("floe.lock"), text).expect("a file");
            let failure = Lock::read(&toml).expect_err(text);
            assert_eq!(failure.hints, [RENEW], "{text}");
        }
    }
}
