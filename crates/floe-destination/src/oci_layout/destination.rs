//! Writing an OCI layout: blobs are staged in a directory of this run, then moved, then `index.json` is replaced.
//!
//! - Before [`finish`](Destination::finish) nothing that this run wrote is at a name that a reader looks at, so that a
//!   run that fails or is killed leaves the layout as it was.
//! - `finish` holds a `flock` on the directory itself while it moves blobs and replaces `index.json`; several runs
//!   into one directory land one after the other, each reading the other's `index.json`.
//! - Blobs are on the disk before they have their names, and those before `index.json` has them: after a power cut the
//!   layout holds the old images or the new one too, whole. Without it ext4 shows files of zero bytes. Flushing 100 new
//!   blobs one by one takes 0.65 s on ext4, the whole file system once (`syncfs`) 0.1 s, so many are flushed that way.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use floe_image::oci::{Descriptor, Index, canonical_json};
use floe_image::{BlobError, BlobSink, BlobSource};
use rustix::fs::FlockOperation;

use crate::destination::{DeliverError, Delivered, Destination};
use crate::parallel;
use crate::staging::{self, StagedBlobs};
use crate::{ImageName, Manifests};

/// The version in `oci-layout`; a reader accepts no other.
pub(super) const LAYOUT_VERSION: &str = "1.0.0";

/// The annotation that holds an entry's tag (OCI image-spec v1.1, annotations.md).
pub(crate) const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";

/// The annotation that holds the full name under which containerd imports an entry.
pub(super) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Blobs that are fetched side by side: one alone seldom fills a network's way, and more than a few only share it.
const FETCHES: usize = 4;

/// Up to so many blobs are flushed alone: a repeated build brings a manifest, a config and a layer or two, and should not
/// wait for what other programs have written to the file system.
const FLUSHED_ONE_BY_ONE: usize = 8;

/// Takes an image or an index into a directory.
#[derive(Debug)]
pub struct OciLayoutDestination {
    directory: PathBuf,
    /// `blobs/sha256` in it.
    blobs: PathBuf,
    tag: Option<String>,
    staged: StagedBlobs,
    /// Removes the directories that this run made, where they are still empty.
    _made: MadeDirectory,
}

impl OciLayoutDestination {
    /// Opens the directory, and makes it where it is missing. The image gets `tag`, else the tag of its name.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written, or holds other things than a layout.
    pub fn create(directory: &Path, tag: Option<&str>) -> Result<Self, DeliverError> {
        let made = MadeDirectory::make(directory).map_err(|source| cannot("create", directory, source))?;
        check_directory(directory)?;
        let blobs = directory.join("blobs/sha256");
        let staged = StagedBlobs::publishing(directory, &blobs)
            .map_err(|source| cannot("write into", directory, source))?;
        Ok(Self { directory: directory.to_owned(), blobs, tag: tag.map(str::to_owned), staged, _made: made })
    }

    /// Stages each document and blob that is neither here nor staged.
    fn complete(&self, manifests: &Manifests, blobs: &dyn BlobSource) -> Result<(), DeliverError> {
        let stage = |blob: &Descriptor, write: &dyn Fn() -> Result<(), BlobError>| {
            let staged = self.staged.holds(blob).and_then(|held| if held { Ok(()) } else { write() });
            staged.map_err(|source| DeliverError::Blob { digest: blob.digest, source })
        };
        for document in manifests.documents() {
            stage(&document.descriptor, &|| self.staged.write(&document.descriptor, &document.bytes))?;
        }
        parallel::for_each(&manifests.blobs()?, FETCHES, |blob| {
            stage(blob, &|| self.staged.fetch(blob, blobs))
        })
    }

    /// Moves the staged blobs to their names; returns their bytes.
    fn publish(&self) -> Result<u64, DeliverError> {
        let staged = self.staged.all();
        if staged.is_empty() {
            return Ok(0);
        }
        let blobs = &self.blobs;
        fs::create_dir_all(blobs).map_err(|source| cannot("create", blobs, source))?;
        if staged.len() > FLUSHED_ONE_BY_ONE {
            let flush = || Ok(rustix::fs::syncfs(File::open(blobs)?)?);
            flush().map_err(|source| cannot("flush", blobs, source))?;
        } else {
            for (_, path) in &staged {
                flush(path).map_err(|source| cannot("flush", path, source))?;
            }
        }
        let mut written = 0;
        for (digest, staged) in staged {
            let path = blobs.join(digest.hex());
            let publish = || {
                let size = fs::metadata(&staged)?.len();
                fs::rename(&staged, &path).map(|()| size)
            };
            written += publish().map_err(|source| cannot("write", &path, source))?;
        }
        flush(blobs).map_err(|source| cannot("flush", blobs, source))?;
        Ok(written)
    }

    /// Writes `oci-layout` where it is missing and replaces `index.json`.
    fn publish_index(&self, entry: Descriptor) -> Result<(), DeliverError> {
        let layout = self.directory.join("oci-layout");
        if !layout.exists() {
            self.replace(&layout, &layout_bytes())?;
        }
        let path = self.directory.join("index.json");
        let mut index = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| DeliverError::Malformed { path: path.clone(), reason: error.to_string() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Index::new(Vec::new()),
            Err(source) => return Err(cannot("read", &path, source)),
        };
        put(&mut index, entry);
        self.replace(&path, &canonical_json::to_vec(&index))?;
        flush(&self.directory).map_err(|source| cannot("flush", &self.directory, source))
    }

    /// Replaces a document at once: readers see the old one or the new one.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), DeliverError> {
        let staged = self.staged.unused_path();
        let write = || {
            let mut file = File::create_new(&staged)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&staged, path)
        };
        write().map_err(|source| cannot("write", path, source))
    }
}

impl Destination for OciLayoutDestination {
    fn sink(&self) -> &dyn BlobSink {
        &self.staged
    }

    fn finish(
        self: Box<Self>,
        manifests: &Manifests,
        name: Option<&ImageName>,
        blobs: &dyn BlobSource,
    ) -> Result<Delivered, DeliverError> {
        self.complete(manifests, blobs)?;
        let directory =
            File::open(&self.directory).map_err(|source| cannot("open", &self.directory, source))?;
        rustix::fs::flock(&directory, FlockOperation::LockExclusive)
            .map_err(|error| cannot("lock", &self.directory, error.into()))?;
        let written = self.publish()?;
        let tag = self.tag.as_deref().or_else(|| name.map(ImageName::tag));
        let full_name = name.map(|name| name.reference().to_string());
        self.publish_index(index_entry(manifests, tag, full_name.as_deref()))?;
        let colon_tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        Ok(Delivered {
            location: format!("oci:{}{colon_tag}", self.directory.display()),
            manifest: manifests.top().descriptor.clone(),
            written,
        })
    }
}

/// The entry of an image or index in `index.json`.
pub(crate) fn index_entry(manifests: &Manifests, tag: Option<&str>, full_name: Option<&str>) -> Descriptor {
    let mut entry = manifests.top().descriptor.clone();
    entry.platform = manifests.platform().cloned();
    let tag = tag.map(|tag| (REFERENCE_NAME.to_owned(), tag.to_owned()));
    let full_name = full_name.map(|name| (CONTAINERD_NAME.to_owned(), name.to_owned()));
    entry.annotations.extend(tag.into_iter().chain(full_name));
    entry
}

/// The bytes of `oci-layout`.
pub(crate) fn layout_bytes() -> Vec<u8> {
    format!(r#"{{"imageLayoutVersion":"{LAYOUT_VERSION}"}}"#).into_bytes()
}

/// Puts an entry in place of the one with its tag, or at the end. An entry without a tag takes the place of one
/// without a tag for the same platform: building twice into a directory leaves one image, not two of no name.
fn put(index: &mut Index, entry: Descriptor) {
    let tag = |entry: &Descriptor| entry.annotations.get(REFERENCE_NAME).cloned();
    let wanted = tag(&entry);
    let is_replaced = |other: &Descriptor| {
        tag(other) == wanted
            && (wanted.is_some() || other.platform.is_none() || other.platform == entry.platform)
    };
    let position = index.manifests.iter().position(is_replaced).unwrap_or(index.manifests.len());
    index.manifests.retain(|other| !is_replaced(other));
    index.manifests.insert(position.min(index.manifests.len()), entry);
}

/// Refuses a directory that holds something else, or a layout of another version.
fn check_directory(directory: &Path) -> Result<(), DeliverError> {
    let layout = directory.join("oci-layout");
    match fs::read(&layout) {
        Ok(bytes) => {
            return super::source::check_version(&bytes)
                .map_err(|reason| DeliverError::Malformed { path: layout, reason });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(cannot("read", &layout, source)),
    }
    for entry in fs::read_dir(directory).map_err(|source| cannot("read", directory, source))? {
        let name = entry.map_err(|source| cannot("read", directory, source))?.file_name();
        // A run that was killed before its `index.json`, or one that runs now; and what a fresh ext4 holds.
        let is_ours = name.as_encoded_bytes().starts_with(staging::PREFIX.as_bytes());
        if !is_ours && name != "blobs" && name != "oci-layout" && name != "lost+found" {
            return Err(DeliverError::NotALayout(directory.to_owned()));
        }
    }
    Ok(())
}

fn cannot(verb: &str, path: &Path, source: io::Error) -> DeliverError {
    DeliverError::Io { action: format!("{verb} {}", path.display()), source }
}

/// Waits until a file's bytes, or a directory's names, are on the disk.
fn flush(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_data()
}

/// A directory that was made for a destination, and goes again when nothing came into it.
#[derive(Debug)]
struct MadeDirectory(Option<PathBuf>);

impl MadeDirectory {
    fn make(directory: &Path) -> io::Result<Self> {
        let is_new = !directory.exists();
        fs::create_dir_all(directory)?;
        Ok(Self(is_new.then(|| directory.to_owned())))
    }
}

impl Drop for MadeDirectory {
    fn drop(&mut self) {
        if let Some(directory) = &self.0 {
            // Fails, as it should, when an image is in it.
            drop(fs::remove_dir(directory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use floe_image::oci::{MediaType, Platform};

    fn entry(tag: Option<&str>, architecture: &str, bytes: &[u8]) -> Descriptor {
        let mut entry = Descriptor::of(MediaType::Manifest, bytes);
        entry.platform = Some(Platform::new("linux", architecture));
        entry.annotations.extend(tag.map(|tag| (REFERENCE_NAME.to_owned(), tag.to_owned())));
        entry
    }

    #[test]
    fn replaces_the_entry_of_the_same_tag() {
        let mut index = Index::new(Vec::new());
        for (tag, architecture, bytes, expected) in [
            (Some("1"), "amd64", b"a", 1),
            (Some("2"), "amd64", b"b", 2),
            (Some("1"), "arm64", b"c", 2),
            (None, "amd64", b"d", 3),
            (None, "arm64", b"e", 4),
            (None, "amd64", b"f", 4),
        ] {
            let new = entry(tag, architecture, bytes);
            put(&mut index, new.clone());
            assert_eq!(index.manifests.len(), expected, "{tag:?} {architecture}");
            assert!(index.manifests.contains(&new));
        }
        assert_eq!(index.manifests[0], entry(Some("1"), "arm64", b"c"));
    }

    #[test]
    fn refuses_a_directory_of_other_things() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        drop(OciLayoutDestination::create(directory.path(), None).expect("it is empty"));
        fs::write(directory.path().join("letter"), "dear").expect("it is writable");
        let error = OciLayoutDestination::create(directory.path(), None).expect_err("it holds a letter");
        assert!(matches!(error, DeliverError::NotALayout(_)), "{error}");
        fs::write(directory.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#)
            .expect("writable");
        let error = OciLayoutDestination::create(directory.path(), None).expect_err("another version");
        assert!(error.to_string().contains("2.0.0"), "{error}");
    }

    #[test]
    fn leaves_nothing_when_it_is_dropped() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let directory = parent.path().join("layout");
        let destination = OciLayoutDestination::create(&directory, None).expect("a new directory");
        let mut writer = destination.sink().begin(None).expect("room");
        writer.write_all(b"bytes").expect("space");
        writer.commit(&Descriptor::of(MediaType::LayerTar, b"bytes")).expect("it is staged");
        drop(destination);
        assert!(!directory.exists());
    }
}
