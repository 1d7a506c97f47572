//! A staging directory holds what one run writes until it is moved to its name, whole.
//!
//! It lies beside the destination, on the same file system, so that the move is a rename. The run that owns
//! it holds a `flock` on it: a directory without a holder was left by a killed run, and the next run into the
//! same place removes it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use floe_image::oci::{Descriptor, Digest};
use floe_image::{BlobError, BlobSink, BlobSource, BlobWriter};
use rustix::fs::FlockOperation;

use crate::record::Stray;
use crate::verify;

/// What the name of every staging directory begins with: long enough that no user's own file has it.
pub(crate) const PREFIX: &str = ".floe-staging-";

/// How often a directory is made again when another run took it for a left-over one before it was locked.
const ATTEMPTS: usize = 16;

/// Bytes that are gathered before a write: packers write headers of 512 bytes.
const WRITE_BUFFER: usize = 256 * 1024;

/// A directory of this run alone; dropping it removes it with all that is in it.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    /// Holds the lock that tells other runs that this one lives.
    _lock: File,
}

impl Staging {
    /// Makes a staging directory in `parent` and removes those that killed runs left there.
    pub(crate) fn new(parent: &Path) -> io::Result<Self> {
        remove_leftovers(parent)?;
        for _ in 0..ATTEMPTS {
            let path = tempfile::Builder::new().prefix(PREFIX).rand_bytes(12).tempdir_in(parent)?.keep();
            if let Some(lock) = lock_new(&path)? {
                return Ok(Self { path, _lock: lock });
            }
        }
        Err(io::Error::other("other runs removed each staging directory before it could be locked"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run into the same place.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// Locks a directory that was just made; `None` when another run removed it in between.
fn lock_new(path: &Path) -> io::Result<Option<File>> {
    let directory = match File::open(path) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    rustix::fs::flock(&directory, FlockOperation::LockExclusive)?;
    Ok((directory.metadata()?.nlink() > 0).then_some(directory))
}

/// Removes the staging directories in `parent` that no living run holds.
fn remove_leftovers(parent: &Path) -> io::Result<()> {
    each_leftover(parent, |path| {
        // One that cannot be removed is not this run's concern.
        drop(fs::remove_dir_all(path));
        Ok(())
    })
}

/// The staging directories in `parent` that no living run holds, with their sizes; none where `parent` is not there.
///
/// # Errors
///
/// When a directory cannot be read.
pub fn abandoned(parent: &Path) -> io::Result<Vec<Stray>> {
    let mut found = Vec::new();
    let looked = each_leftover(parent, |path| {
        found.push(Stray::of(path)?);
        Ok(())
    });
    match looked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        looked => looked.map(|()| found),
    }
}

/// Shows each staging directory in `parent` that no living run holds, while it is locked.
fn each_leftover(parent: &Path, mut show: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let is_staging = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
        if !is_staging || !entry.file_type()?.is_dir() {
            continue;
        }
        // One that vanished or belongs to another user is not this run's concern.
        let Ok(directory) = File::open(entry.path()) else { continue };
        if rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            show(&entry.path())?;
        }
    }
    Ok(())
}

/// Blobs that were written but are not yet at their place. A sink, as the destination above it is one.
#[derive(Debug)]
pub(crate) struct StagedBlobs {
    staging: Staging,
    purpose: Purpose,
    next: AtomicU64,
    blobs: Mutex<BTreeMap<Digest, PathBuf>>,
}

/// What becomes of staged blobs.
#[derive(Debug)]
enum Purpose {
    /// They are moved into this directory, under their hex digits; what it has need not be staged.
    Publish(PathBuf),
    /// They are written in an order of the destination's own: only those of unknown digest need to be kept until then.
    Spool,
}

impl StagedBlobs {
    /// Stages in `parent` what is then moved into `directory`, which need not be there yet.
    pub(crate) fn publishing(parent: &Path, directory: &Path) -> io::Result<Self> {
        Self::new(parent, Purpose::Publish(directory.to_owned()))
    }

    /// Keeps blobs in `parent` until it is their turn.
    pub(crate) fn spool(parent: &Path) -> io::Result<Self> {
        Self::new(parent, Purpose::Spool)
    }

    fn new(parent: &Path, purpose: Purpose) -> io::Result<Self> {
        Ok(Self {
            staging: Staging::new(parent)?,
            purpose,
            next: AtomicU64::new(0),
            blobs: Mutex::new(BTreeMap::new()),
        })
    }

    /// A path in the staging directory that no file has.
    pub(crate) fn unused_path(&self) -> PathBuf {
        self.staging.path().join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Where a blob was staged.
    pub(crate) fn find(&self, digest: &Digest) -> Option<PathBuf> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// All staged blobs, sorted by digest.
    pub(crate) fn all(&self) -> Vec<(Digest, PathBuf)> {
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.iter().map(|(digest, path)| (*digest, path.clone())).collect()
    }

    /// Opens a file for a blob.
    pub(crate) fn open(&self) -> Result<StagedWriter<'_>, BlobError> {
        let path = self.unused_path();
        let file = File::create_new(&path)
            .map_err(|source| BlobError::Io { action: format!("create {}", path.display()), source })?;
        let file = Some(BufWriter::with_capacity(WRITE_BUFFER, file));
        Ok(StagedWriter { staged: self, path, file, size: 0 })
    }

    /// Stages bytes that are all in memory.
    pub(crate) fn write(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), BlobError> {
        let mut writer = self.open()?;
        writer.write_all(bytes).map_err(|source| writer.failed(source))?;
        Box::new(writer).commit(descriptor)
    }

    /// Stages a blob from where it is.
    pub(crate) fn fetch(&self, blob: &Descriptor, blobs: &dyn BlobSource) -> Result<(), BlobError> {
        let mut writer = self.open()?;
        blobs.copy_to(blob, &mut writer)?;
        Box::new(writer).commit(blob)
    }
}

impl BlobSink for StagedBlobs {
    /// A file of another size than the blob's is a damaged one.
    fn holds(&self, blob: &Descriptor) -> Result<bool, BlobError> {
        if self.find(&blob.digest).is_some() {
            return Ok(true);
        }
        let Purpose::Publish(directory) = &self.purpose else { return Ok(false) };
        let path = directory.join(blob.digest.hex());
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.is_file() && metadata.len() == blob.size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(BlobError::Io { action: format!("look at {}", path.display()), source }),
        }
    }

    fn asks_later(&self) -> bool {
        matches!(self.purpose, Purpose::Spool)
    }

    fn begin(&self, _known: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>, BlobError> {
        Ok(Box::new(self.open()?))
    }
}

/// A blob that is being staged.
pub(crate) struct StagedWriter<'a> {
    staged: &'a StagedBlobs,
    path: PathBuf,
    /// Invariant: `None` only after a commit.
    file: Option<BufWriter<File>>,
    size: u64,
}

impl StagedWriter<'_> {
    fn failed(&self, source: io::Error) -> BlobError {
        BlobError::Io { action: format!("write {}", self.path.display()), source }
    }
}

impl Write for StagedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        // A packer only knows that it writes a blob: a full disk must be told by its path.
        let written = file.write(bytes).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {}: {error}", self.path.display()))
        })?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl StagedWriter<'_> {
    /// Ends the file and returns its path; it has the blob's size.
    pub(crate) fn complete(mut self, blob: &Descriptor) -> Result<PathBuf, BlobError> {
        self.flush().map_err(|source| self.failed(source))?;
        if self.size != blob.size {
            let file = File::open(&self.path).map_err(|source| self.failed(source))?;
            return Err(verify::wrong_bytes(blob, file).unwrap_or_else(|source| self.failed(source)));
        }
        self.file = None;
        Ok(self.path.clone())
    }
}

impl BlobWriter for StagedWriter<'_> {
    fn commit(self: Box<Self>, blob: &Descriptor) -> Result<(), BlobError> {
        let staged = self.staged;
        let path = self.complete(blob)?;
        let mut blobs = staged.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let superseded = blobs.insert(blob.digest, path);
        drop(blobs);
        // Two threads packed the same blob: one file is enough.
        superseded.map_or(Ok(()), |path| {
            fs::remove_file(&path)
                .map_err(|source| BlobError::Io { action: format!("remove {}", path.display()), source })
        })
    }
}

impl Drop for StagedWriter<'_> {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Goes with the directory otherwise.
            drop(fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use floe_image::oci::MediaType;

    #[test]
    fn removes_what_killed_runs_left_and_nothing_else() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let left = parent.path().join(format!("{PREFIX}left"));
        fs::create_dir_all(left.join("inner")).expect("a directory");
        fs::create_dir(parent.path().join(".floe")).expect("a directory");
        let living = Staging::new(parent.path()).expect("a staging directory");
        assert!(!left.exists());
        let second = Staging::new(parent.path()).expect("a staging directory");
        assert!(living.path().exists() && second.path().exists() && parent.path().join(".floe").exists());
        drop((living, second));
        assert_eq!(fs::read_dir(parent.path()).expect("a directory").count(), 1);
    }

    #[test]
    fn keeps_committed_blobs_only() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let staged = StagedBlobs::spool(parent.path()).expect("a staging directory");
        let blob = Descriptor::of(MediaType::LayerTar, b"bytes");
        drop(staged.open().expect("room"));
        staged.write(&blob, b"bytes").expect("it is written");
        staged.write(&blob, b"bytes").expect("twice is fine");
        let error = staged.write(&blob, b"byte").expect_err("a byte is missing");
        assert!(matches!(error, BlobError::WrongBytes { size: 4, .. }), "{error}");
        assert_eq!(staged.all().len(), 1);
        assert_eq!(fs::read_dir(staged.staging.path()).expect("a directory").count(), 1);
        assert_eq!(fs::read(staged.find(&blob.digest).expect("it is staged")).expect("a file"), b"bytes");
    }
}
