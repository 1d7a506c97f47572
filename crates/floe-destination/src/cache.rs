//! floe's own cache of packed layers: bounded, shared by all runs of a user, never believed without a look.
//!
//! A file a blob, called by the digest's hex digits. A blob is hashed whole before its first byte is handed out, so that
//! even a stream gets nothing of a damaged one: that is removed and reported as missing, and the caller packs it again.
//! The second reading comes from memory. Nothing is flushed to the disk: what a power cut damages is found that way.
//!
//! When the cache grows beyond its bound, the blobs that were used longest ago go. A blob that is being read is locked
//! (`flock`) and stays.

use std::fs::{self, File};
use std::io::{self, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use floe_image::oci::Descriptor;
use floe_image::{BlobError, BlobSink, BlobSource, BlobWriter};
use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW};

use crate::record::Stray;
use crate::staging::{StagedBlobs, StagedWriter};
use crate::verify;

/// The file whose lock one evicting run holds.
const LOCK: &str = ".lock";

/// A directory of blobs of at most `max_size` bytes.
#[derive(Debug)]
pub struct BlobCache {
    directory: PathBuf,
    max_size: u64,
    /// What the cache held at the last look and this run wrote since; other runs write too, so it is an estimate.
    size: AtomicU64,
    staged: StagedBlobs,
}

/// The cache's directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the cache {}", path.display())]
pub struct OpenCacheError {
    /// The directory.
    pub path: PathBuf,
    /// The system's reason.
    #[source]
    pub source: io::Error,
}

impl BlobCache {
    /// Opens the cache, and makes its directory where it is missing. `max_size` is in bytes.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made, read or written.
    pub fn open(directory: &Path, max_size: u64) -> Result<Self, OpenCacheError> {
        let open = || {
            fs::create_dir_all(directory)?;
            let staged = StagedBlobs::publishing(directory, directory)?;
            let size = entries(directory)?.iter().map(|entry| entry.size).sum();
            Ok(Self { directory: directory.to_owned(), max_size, size: AtomicU64::new(size), staged })
        };
        open().map_err(|source| OpenCacheError { path: directory.to_owned(), source })
    }

    /// Removes the blobs that were used longest ago until the cache is within its bound.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read or a file not removed.
    pub fn evict(&self) -> Result<(), BlobError> {
        self.evict_files().map_err(|source| BlobError::Io {
            action: format!("evict from {}", self.directory.display()),
            source,
        })
    }

    fn evict_files(&self) -> io::Result<()> {
        let lock = File::create(self.directory.join(LOCK))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        let mut entries = entries(&self.directory)?;
        entries.sort_by_key(|entry| entry.used);
        let mut size: u64 = entries.iter().map(|entry| entry.size).sum();
        for entry in entries {
            if size <= self.max_size {
                break;
            }
            let Ok(file) = File::open(&entry.path) else { continue };
            // A reader holds it: the next one in age goes instead.
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                fs::remove_file(&entry.path)?;
                size -= entry.size;
            }
        }
        self.size.store(size, Ordering::Relaxed);
        Ok(())
    }

    /// The blobs of a cache that [`Self::evict`] would remove if it were bounded by `max_size` bytes and nobody read
    /// it; none where there is no cache. Nothing is changed.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn excess(directory: &Path, max_size: u64) -> io::Result<Vec<Stray>> {
        let mut entries = match entries(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        entries.sort_by_key(|entry| entry.used);
        let mut size: u64 = entries.iter().map(|entry| entry.size).sum();
        let victims = entries.into_iter().take_while(|entry| {
            let is_over = size > max_size;
            size -= entry.size;
            is_over
        });
        Ok(victims.map(|entry| Stray { path: entry.path, size: entry.size }).collect())
    }

    fn path(&self, blob: &Descriptor) -> PathBuf {
        self.directory.join(blob.digest.hex())
    }

    /// Opens a blob, locked against eviction and marked as used.
    fn open_blob(&self, blob: &Descriptor) -> Result<File, BlobError> {
        let path = self.path(blob);
        let file = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BlobError::Missing(blob.digest),
            _ => BlobError::Io { action: format!("open {}", path.display()), source },
        })?;
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // On a file system without `flock`, or on another user's file, the blob may only be evicted too early.
        let _is_locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_ok();
        let times = Timestamps { last_access: now, last_modification: now };
        let _is_touched = rustix::fs::futimens(&file, &times).is_ok();
        Ok(file)
    }
}

impl BlobSource for BlobCache {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let mut file = self.open_blob(blob)?;
        let path = self.path(blob);
        match verify::copy(blob, &path.display().to_string(), &mut file, &mut io::sink()) {
            Ok(()) => {}
            Err(BlobError::WrongBytes { .. }) => {
                // When it cannot be removed it is found damaged again.
                drop(fs::remove_file(&path));
                return Err(BlobError::Missing(blob.digest));
            }
            Err(error) => return Err(error),
        }
        let copied = file.rewind().and_then(|()| io::copy(&mut file, out));
        copied
            .map(drop)
            .map_err(|source| BlobError::Io { action: format!("copy {}", path.display()), source })
    }
}

impl BlobSink for BlobCache {
    fn holds(&self, blob: &Descriptor) -> Result<bool, BlobError> {
        match self.open_blob(blob).and_then(|file| {
            file.metadata().map_err(|source| BlobError::Io {
                action: format!("look at {}", self.path(blob).display()),
                source,
            })
        }) {
            Ok(metadata) => Ok(metadata.len() == blob.size),
            Err(BlobError::Missing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn begin(&self, _known: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>, BlobError> {
        Ok(Box::new(CacheWriter { cache: self, inner: self.staged.open()? }))
    }
}

/// A blob on its way into the cache; one that is larger than the whole cache is not kept.
struct CacheWriter<'a> {
    cache: &'a BlobCache,
    inner: StagedWriter<'a>,
}

impl Write for CacheWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl BlobWriter for CacheWriter<'_> {
    fn commit(self: Box<Self>, blob: &Descriptor) -> Result<(), BlobError> {
        let Self { cache, inner } = *self;
        if blob.size > cache.max_size {
            return Ok(());
        }
        let path = cache.path(blob);
        let staged = inner.complete(blob)?;
        fs::rename(&staged, &path)
            .map_err(|source| BlobError::Io { action: format!("write {}", path.display()), source })?;
        let before = cache.size.fetch_add(blob.size, Ordering::Relaxed);
        if before + blob.size > cache.max_size { cache.evict() } else { Ok(()) }
    }
}

/// A blob's file.
struct Entry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

/// The blobs of a cache; files that vanish meanwhile are left out.
fn entries(directory: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_blob = name.len() == 64 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit);
        let metadata = entry.metadata();
        if let (true, Ok(metadata)) = (is_blob, metadata) {
            entries.push(Entry { path: entry.path(), size: metadata.len(), used: metadata.modified()? });
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use floe_image::oci::MediaType;
    use std::time::Duration;

    fn put(cache: &BlobCache, bytes: &[u8]) -> Descriptor {
        let blob = Descriptor::of(MediaType::LayerTar, bytes);
        let mut writer = cache.begin(None).expect("room");
        writer.write_all(bytes).expect("space");
        writer.commit(&blob).expect("it is kept");
        blob
    }

    /// Says when a blob was last used, in seconds after the epoch.
    fn set_used(cache: &BlobCache, blob: &Descriptor, seconds: u64) {
        let file = File::options().write(true).open(cache.path(blob)).expect("it is there");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).expect("it is ours");
    }

    fn read(cache: &BlobCache, blob: &Descriptor) -> Result<Vec<u8>, BlobError> {
        let mut bytes = Vec::new();
        cache.copy_to(blob, &mut bytes).map(|()| bytes)
    }

    #[test]
    fn evicts_what_was_used_longest_ago() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cache = BlobCache::open(directory.path(), 25).expect("a cache");
        let (first, second) = (put(&cache, &[1; 10]), put(&cache, &[2; 10]));
        set_used(&cache, &first, 1);
        set_used(&cache, &second, 2);
        assert_eq!(read(&cache, &first).expect("it is there"), [1; 10]);
        let third = put(&cache, &[3; 10]);
        let kept = [&first, &second, &third].map(|blob| cache.holds(blob).expect("it can be asked"));
        assert_eq!(kept, [true, false, true], "reading the first made the second the oldest");
        let excess = |max_size| BlobCache::excess(directory.path(), max_size).expect("it can be read").len();
        assert_eq!([excess(20), excess(19), excess(0)], [0, 1, 2]);
        assert_eq!(BlobCache::excess(&directory.path().join("none"), 0).expect("no cache"), []);
        let large = put(&cache, &[4; 26]);
        assert!(!cache.holds(&large).expect("it can be asked"));
        assert!(cache.holds(&first).expect("it can be asked"), "a blob that is too large evicts nothing");
    }

    #[test]
    fn never_evicts_an_open_blob() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cache = BlobCache::open(directory.path(), 15).expect("a cache");
        let first = put(&cache, &[1; 10]);
        let open = cache.open_blob(&first).expect("it is there");
        set_used(&cache, &first, 1);
        let second = put(&cache, &[2; 10]);
        assert!(cache.path(&first).exists() && !cache.path(&second).exists());
        drop(open);
        put(&cache, &[2; 10]);
        assert!(!cache.path(&first).exists() && cache.path(&second).exists());
    }

    #[test]
    fn reports_a_damaged_blob_as_missing_before_its_first_byte() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cache = BlobCache::open(directory.path(), 100).expect("a cache");
        for damage in [&b"other bytes"[..], b"b", b"bytes and more"] {
            let blob = put(&cache, b"bytes");
            fs::write(cache.path(&blob), damage).expect("it is ours");
            let mut out = Vec::new();
            let error = cache.copy_to(&blob, &mut out).expect_err("it is damaged");
            assert!(matches!(error, BlobError::Missing(_)), "{error}");
            assert!(out.is_empty() && !cache.path(&blob).exists());
        }
    }
}
