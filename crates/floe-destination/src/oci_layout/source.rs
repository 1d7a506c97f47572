//! Reading an OCI layout: its entries by tag or digest, its blobs verified as they are copied.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use floe_image::oci::{Descriptor, Digest, Index};
use floe_image::{BlobError, BlobSource};
use serde::Deserialize;

use super::destination::{CONTAINERD_NAME, LAYOUT_VERSION, REFERENCE_NAME};
use crate::ImageName;
use crate::documents::MAX_DOCUMENT;
use crate::verify;

/// An OCI layout that is read.
///
/// ```no_run
/// use floe_destination::OciLayout;
///
/// let layout = OciLayout::open("image".as_ref())?;
/// let manifest = layout.resolve(Some("1.0"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OciLayout {
    directory: PathBuf,
    index: Index,
}

/// Why a directory could not be opened as an OCI layout.
#[derive(Debug, thiserror::Error)]
pub enum OpenLayoutError {
    /// `oci-layout` or `index.json` is missing or unreadable: probably no layout at all.
    #[error("cannot read {}: an OCI layout has 'oci-layout' and 'index.json'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// `oci-layout` or `index.json` is not what the specification says, or of a version that is not known.
    #[error("'{}' is malformed: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected.
        reason: String,
    },
}

/// Why no single image could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No entry has the tag or digest.
    #[error("no image is called '{wanted}'; there {}", listing(available))]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// The tags, names or digests that are there.
        available: Vec<String>,
    },
    /// Nothing was asked for, and there are several.
    #[error("several images are there and none was named; there {}", listing(.0))]
    Ambiguous(Vec<String>),
    /// There is no image at all.
    #[error("no image is there")]
    Empty,
}

fn listing(available: &[String]) -> String {
    if available.is_empty() { "are none".to_owned() } else { format!("are {}", available.join(", ")) }
}

impl OciLayout {
    /// Opens a layout and reads its `index.json`.
    ///
    /// # Errors
    ///
    /// When a document is missing, too large or malformed.
    pub fn open(directory: &Path) -> Result<Self, OpenLayoutError> {
        let malformed = |path: &Path, reason| OpenLayoutError::Malformed { path: path.to_owned(), reason };
        let layout = directory.join("oci-layout");
        check_version(&read(&layout)?).map_err(|reason| malformed(&layout, reason))?;
        let path = directory.join("index.json");
        let index =
            serde_json::from_slice(&read(&path)?).map_err(|error| malformed(&path, error.to_string()))?;
        Ok(Self { directory: directory.to_owned(), index })
    }

    /// The entries of `index.json`.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The entry with a tag or digest; the only one when neither is given.
    ///
    /// # Errors
    ///
    /// When there is none, or several of which none was named.
    pub fn resolve(&self, wanted: Option<&str>) -> Result<Descriptor, ResolveError> {
        resolve(&self.index, wanted)
    }
}

impl BlobSource for OciLayout {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let path = self.directory.join("blobs/sha256").join(blob.digest.hex());
        let mut file = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BlobError::Missing(blob.digest),
            _ => BlobError::Io { action: format!("open {}", path.display()), source },
        })?;
        verify::copy(blob, &path.display().to_string(), &mut file, out)
    }
}

/// Finds the entry of an index by tag, full name or digest, or the only one.
pub(crate) fn resolve(index: &Index, wanted: Option<&str>) -> Result<Descriptor, ResolveError> {
    let available = || index.manifests.iter().map(listed_as).collect::<Vec<_>>();
    let Some(wanted) = wanted else {
        return match index.manifests.as_slice() {
            [] => Err(ResolveError::Empty),
            [only] => Ok(only.clone()),
            [first, rest @ ..] if rest.iter().all(|entry| entry.digest == first.digest) => Ok(first.clone()),
            _ => Err(ResolveError::Ambiguous(available())),
        };
    };
    let tag = |entry: &&Descriptor| entry.annotations.get(REFERENCE_NAME).is_some_and(|tag| tag == wanted);
    let digest: Option<Digest> = wanted.parse().ok();
    let name: Option<ImageName> = wanted.parse().ok();
    let is_meant = |entry: &&Descriptor| {
        Some(entry.digest) == digest
            || name.as_ref().is_some_and(|name| {
                full_name(entry).is_some_and(|entry| entry.reference() == name.reference())
            })
    };
    let found = index.manifests.iter().find(tag).or_else(|| index.manifests.iter().find(is_meant));
    found.cloned().ok_or_else(|| ResolveError::Unknown { wanted: wanted.to_owned(), available: available() })
}

/// How an entry can be asked for.
fn listed_as(entry: &Descriptor) -> String {
    let tag = entry.annotations.get(REFERENCE_NAME).cloned();
    tag.or_else(|| Some(full_name(entry)?.to_string())).unwrap_or_else(|| entry.digest.to_string())
}

/// The name of an entry's image: the annotation that containerd and podman read, or a whole name in place of a tag, as
/// docker's archives have it.
pub(crate) fn full_name(entry: &Descriptor) -> Option<ImageName> {
    let whole = |name: &&String| name.contains([':', '/']);
    let annotation = entry.annotations.get(CONTAINERD_NAME);
    annotation.or_else(|| entry.annotations.get(REFERENCE_NAME).filter(whole))?.parse().ok()
}

/// Says what is wrong with the bytes of `oci-layout`.
pub(super) fn check_version(bytes: &[u8]) -> Result<(), String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Layout {
        image_layout_version: String,
    }
    let layout: Layout = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if layout.image_layout_version == LAYOUT_VERSION {
        Ok(())
    } else {
        Err(format!("expected imageLayoutVersion {LAYOUT_VERSION}, found '{}'", layout.image_layout_version))
    }
}

/// Reads a document of at most [`MAX_DOCUMENT`] bytes.
fn read(path: &Path) -> Result<Vec<u8>, OpenLayoutError> {
    let cannot = |source| OpenLayoutError::Read { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(cannot(io::Error::other("not a regular file")));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes)).map_err(cannot)?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        let reason = format!("expected at most {MAX_DOCUMENT} bytes");
        return Err(OpenLayoutError::Malformed { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use floe_image::oci::MediaType;

    #[test]
    fn chooses_by_tag_digest_or_being_alone() {
        let entry = |tag: &str| {
            let mut entry = Descriptor::of(MediaType::Manifest, tag.as_bytes());
            entry.annotations.insert(REFERENCE_NAME.to_owned(), tag.to_owned());
            entry
        };
        let (one, two) = (entry("1"), entry("2"));
        let index = Index::new(vec![one.clone(), two.clone()]);
        assert_eq!(resolve(&index, Some("2")).expect("a tag"), two);
        assert_eq!(resolve(&index, Some(&one.digest.to_string())).expect("a digest"), one);
        assert_eq!(resolve(&Index::new(vec![two.clone()]), None).expect("the only one"), two);
        let message = |wanted| resolve(&index, wanted).expect_err("nothing to choose").to_string();
        assert_eq!(message(Some("3")), "no image is called '3'; there are 1, 2");
        assert_eq!(message(None), "several images are there and none was named; there are 1, 2");

        let mut named = Descriptor::of(MediaType::Manifest, b"named");
        named.annotations.insert(CONTAINERD_NAME.to_owned(), "docker.io/library/app:1.0".to_owned());
        let unnamed = Descriptor::of(MediaType::Manifest, b"unnamed");
        let index = Index::new(vec![named.clone(), unnamed.clone()]);
        for name in ["app:1.0", "docker.io/library/app:1.0"] {
            assert_eq!(resolve(&index, Some(name)).expect("its name"), named);
        }
        let message = resolve(&index, None).expect_err("nothing to choose").to_string();
        assert!(message.ends_with(&format!("there are docker.io/library/app:1.0, {}", unnamed.digest)));
    }
}
