//! What was packed before is remembered: the [`Layer`] of equal contents need not be packed again.
//!
//! One small file for each fact, named by the SHA-256 of everything the fact depends on. A file is
//! written beside its place and renamed, so concurrent runs share a memo without a lock, and its last line is
//! the digest of the fact and what it is a fact about: whatever was cut short, damaged or took another entry's
//! place counts as not remembered and is written anew.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Compression, Knowledge, Layer, LayerContents};
use crate::oci::{Digest, DigestHasher, canonical_json};

/// Counts the changes of the tar's form: a layer remembered under another number is packed again.
const FORMAT_VERSION: u32 = 1;

/// Everything that a layer's bytes depend on, hashed: contents by NAR hash, compressor, format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemoKey(Digest);

impl MemoKey {
    /// The key of contents that are compressed so.
    #[must_use]
    pub fn of(contents: &LayerContents, compression: Compression) -> Self {
        #[derive(Serialize)]
        struct Everything<'a> {
            format_version: u32,
            library: String,
            block_size: usize,
            compression: Compression,
            contents: &'a LayerContents,
        }
        Self(Digest::of(&canonical_json::to_vec(&Everything {
            format_version: FORMAT_VERSION,
            library: compression.library(),
            block_size: compression.block_size(),
            compression,
            contents,
        })))
    }

    /// The key as a digest, to name other things by.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0
    }

    /// A key that was written down as a digest.
    #[must_use]
    pub fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }
}

/// A directory of remembered facts.
///
/// ```
/// use floe_image::layer::{Knowledge as _, Memo};
/// use floe_image::oci::Digest;
///
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// let memo = Memo::open(folder.path().join("memo"));
/// let closure = Digest::of(b"the NAR hashes of a closure");
/// assert_eq!(memo.fact("platform", closure), None);
/// memo.remember_fact("platform", closure, "linux/amd64")?;
/// assert_eq!(memo.fact("platform", closure).as_deref(), Some("linux/amd64"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Memo {
    directory: PathBuf,
}

impl Memo {
    /// Uses a directory, which is made when something is first remembered.
    #[must_use]
    pub fn open(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Remembers a packed layer, in place of what was remembered before.
    ///
    /// # Errors
    /// When the entry cannot be written; the memo is then as it was.
    pub fn remember(&self, key: &MemoKey, layer: &Layer) -> io::Result<()> {
        self.write("layer", key.0, layer)
    }

    /// Remembers a fact, in place of what was remembered before.
    ///
    /// # Errors
    /// When the entry cannot be written; the memo is then as it was.
    pub fn remember_fact(&self, kind: &str, key: Digest, value: &str) -> io::Result<()> {
        self.write(&format!("fact-{kind}"), key, value)
    }

    /// Counts what was neither written nor used since a point in time.
    ///
    /// # Errors
    /// When a directory cannot be listed.
    pub fn unused(&self, since: SystemTime) -> io::Result<Unused> {
        each_unused(&self.directory, since, &mut |_| Ok(()))
    }

    /// Forgets what was neither written nor used since a point in time; returns what went.
    ///
    /// # Errors
    /// When a directory cannot be listed, or an entry not removed.
    pub fn prune(&self, since: SystemTime) -> io::Result<Unused> {
        each_unused(&self.directory, since, &mut |path| fs::remove_file(path))
    }

    fn place(&self, kind: &str, key: Digest) -> PathBuf {
        let hex = key.hex();
        let (first, rest) = hex.split_at(2);
        self.directory.join(kind).join(first).join(rest)
    }

    /// An entry that cannot be read is as good as none: the fact is found out again.
    fn read<T: DeserializeOwned>(&self, kind: &str, key: Digest) -> Option<T> {
        let place = self.place(kind, key);
        let bytes = fs::read(&place).ok()?;
        let value = decode(kind, key, &bytes)?;
        // Where the time cannot be set, say on a read-only file system, the entry only seems older.
        mark_used(&place).ok();
        Some(value)
    }

    fn write<T: Serialize + ?Sized>(&self, kind: &str, key: Digest, value: &T) -> io::Result<()> {
        let place = self.place(kind, key);
        let directory = place.parent().unwrap_or(&self.directory);
        fs::create_dir_all(directory)?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
        file.write_all(&encode(kind, key, &value))?;
        file.persist(&place)?;
        Ok(())
    }
}

impl Knowledge for Memo {
    fn layer(&self, key: &MemoKey) -> Option<Layer> {
        self.read("layer", key.0)
    }

    fn fact(&self, kind: &str, key: Digest) -> Option<String> {
        self.read(&format!("fact-{kind}"), key)
    }
}

/// JSON in one line, then its seal.
fn encode(kind: &str, key: Digest, value: &impl Serialize) -> Vec<u8> {
    let mut bytes = canonical_json::to_vec(value);
    let seal = seal(kind, key, &bytes);
    bytes.extend_from_slice(format!("\n{seal}\n").as_bytes());
    bytes
}

fn decode<T: DeserializeOwned>(kind: &str, key: Digest, bytes: &[u8]) -> Option<T> {
    let lines = bytes.strip_suffix(b"\n")?;
    let end = lines.iter().rposition(|byte| *byte == b'\n')?;
    let (json, digest) = (&lines[..end], &lines[end + 1..]);
    let intact = seal(kind, key, json).to_string().as_bytes() == digest;
    intact.then(|| serde_json::from_slice(json).ok()).flatten()
}

/// The digest of a fact together with its place: an intact entry under another's name must not be believed.
fn seal(kind: &str, key: Digest, json: &[u8]) -> Digest {
    let mut hasher = DigestHasher::default();
    hasher.update(format!("{kind} {key}\n").as_bytes());
    hasher.update(json);
    hasher.finish()
}

/// Sets the time of last change to now; that of last access is often not kept.
fn mark_used(place: &Path) -> io::Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let unchanged = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access: unchanged, last_modification: now };
    Ok(rustix::fs::utimensat(CWD, place, &times, AtFlags::empty())?)
}

/// Entries of a memo that nobody used for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unused {
    /// How many.
    pub entries: u64,
    /// The bytes of their files.
    pub size: u64,
}

/// Treats each entry that was not used since a point in time, and counts those that are treated.
#[expect(
    clippy::disallowed_methods,
    reason = "each entry is judged alone, so their order is of no consequence"
)]
fn each_unused(
    directory: &Path,
    since: SystemTime,
    treat: &mut dyn FnMut(&Path) -> io::Result<()>,
) -> io::Result<Unused> {
    let mut unused = Unused::default();
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(unused),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // Another run pruned it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        if metadata.is_dir() {
            let below = each_unused(&entry.path(), since, treat)?;
            unused.entries += below.entries;
            unused.size += below.size;
        } else if metadata.modified()? < since {
            match treat(&entry.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => {
                    outcome?;
                    unused.entries += 1;
                    unused.size += metadata.len();
                }
            }
        }
    }
    Ok(unused)
}
