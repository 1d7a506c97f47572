//! Manifests as stored: one document, and all that one name stands for.
//!
//! A name stands for an image, or for an index with images, attestations and other indexes below it. [`Manifests`] holds
//! their documents, each byte for byte, children before the index that names them: the order in which they are written
//! everywhere. Only documents are here; configs and layers are blobs, of which [`Manifests::blobs`] tells the list.

use std::collections::BTreeSet;

use floe_image::BlobSource;
use floe_image::oci::{Descriptor, Digest, Index, Manifest, MediaType, Platform, canonical_json};

use crate::documents::{ReadDocumentsError, read_bytes};

/// How deep an index may lie in an index; real images have one level.
const MAX_DEPTH: usize = 4;

/// More manifests than any image has.
const MAX_MANIFESTS: usize = 1_000;

/// A manifest or index as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestDocument {
    /// Describes `bytes`: media type, digest, size; nothing more.
    pub descriptor: Descriptor,
    /// The bytes as stored.
    pub bytes: Vec<u8>,
}

/// A manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParsedManifest {
    /// An image or artifact.
    Manifest(Box<Manifest>),
    /// An index of manifests.
    Index(Index),
}

impl ManifestDocument {
    /// Describes bytes that were just made.
    #[must_use]
    pub fn new(media_type: MediaType, bytes: Vec<u8>) -> Self {
        Self { descriptor: Descriptor::of(media_type, &bytes), bytes }
    }

    /// Reads the document by its media type.
    ///
    /// # Errors
    ///
    /// When the bytes do not follow their specification.
    pub fn parse(&self) -> Result<ParsedManifest, ReadDocumentsError> {
        let parsed = if self.descriptor.media_type.is_index() {
            serde_json::from_slice(&self.bytes).map(ParsedManifest::Index)
        } else {
            serde_json::from_slice(&self.bytes).map(|manifest| ParsedManifest::Manifest(Box::new(manifest)))
        };
        parsed.map_err(|source| ReadDocumentsError::Malformed {
            digest: self.descriptor.digest,
            media_type: self.descriptor.media_type.clone(),
            source,
        })
    }

    /// Reads a document from where it is stored.
    fn read(source: &dyn BlobSource, entry: &Descriptor) -> Result<Self, ReadDocumentsError> {
        let Descriptor { digest, media_type, .. } = entry.clone();
        if !media_type.is_manifest() && !media_type.is_index() {
            return Err(ReadDocumentsError::NotAnImage { digest, media_type });
        }
        let bytes = read_bytes(source, entry)?;
        Ok(Self { descriptor: Descriptor::new(media_type, digest, bytes.len() as u64), bytes })
    }
}

/// Which images of an index are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All, with the index itself.
    All,
    /// The one for this platform, without the index.
    Platform(Platform),
}

/// Two images of one index are for the same platform.
#[derive(Debug, thiserror::Error)]
#[error("two images are for {platform}, {first} and {second}: expected one for each platform")]
pub struct SamePlatformError {
    /// The platform.
    pub platform: Box<Platform>,
    /// The image that came first.
    pub first: Digest,
    /// The other.
    pub second: Digest,
}

/// The manifests of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifests {
    /// Invariant: not empty; children before the index that names them; the last is what the name stands for.
    documents: Vec<ManifestDocument>,
    platform: Option<Platform>,
}

impl Manifests {
    /// The manifest of one image, with the image's platform where it is known.
    #[must_use]
    pub fn image(document: ManifestDocument, platform: Option<Platform>) -> Self {
        Self { documents: vec![document], platform }
    }

    /// An index and its children, those of inner indexes first.
    #[must_use]
    pub fn index(mut children: Vec<ManifestDocument>, index: ManifestDocument) -> Self {
        children.push(index);
        Self { documents: children, platform: None }
    }

    /// Joins images into an OCI index, in their order, each for its platform.
    ///
    /// # Errors
    ///
    /// When two images are for the same platform: whoever pulls would get the first, and never the second.
    pub fn joined(images: Vec<(ManifestDocument, Platform)>) -> Result<Self, SamePlatformError> {
        let mut entries: Vec<Descriptor> = Vec::with_capacity(images.len());
        for (document, platform) in &images {
            if let Some(first) = entries.iter().find(|entry| entry.platform.as_ref() == Some(platform)) {
                return Err(SamePlatformError {
                    platform: Box::new(platform.clone()),
                    first: first.digest,
                    second: document.descriptor.digest,
                });
            }
            entries.push(Descriptor { platform: Some(platform.clone()), ..document.descriptor.clone() });
        }
        let bytes = canonical_json::to_vec(&Index::new(entries));
        let children = images.into_iter().map(|(document, _)| document).collect();
        Ok(Self::index(children, ManifestDocument::new(MediaType::Index, bytes)))
    }

    /// Reads what `root` names: a manifest, or an index of which `selection` says what is wanted.
    ///
    /// A manifest that no index names is taken for any platform. Nothing but manifests and indexes is read.
    ///
    /// # Errors
    ///
    /// When a document is missing, damaged, too large or malformed, or there is none for the platform.
    pub fn read(
        source: &dyn BlobSource,
        root: &Descriptor,
        selection: &Selection,
    ) -> Result<Self, ReadDocumentsError> {
        match selection {
            Selection::All => {
                let mut reading = Reading { source, seen: BTreeSet::new(), documents: Vec::new() };
                reading.collect(root, 0)?;
                let platform = if root.media_type.is_index() { None } else { root.platform.clone() };
                Ok(Self { documents: reading.documents, platform })
            }
            Selection::Platform(wanted) => {
                let (document, platform) = read_for_platform(source, root, wanted)?;
                Ok(Self::image(document, platform))
            }
        }
    }

    /// What the name stands for.
    #[must_use]
    pub fn top(&self) -> &ManifestDocument {
        self.documents.last().expect("there is always what the name stands for")
    }

    /// All documents, children before the index that names them.
    #[must_use]
    pub fn documents(&self) -> &[ManifestDocument] {
        &self.documents
    }

    /// The platform of the one image; `None` for an index, or where it is not known.
    #[must_use]
    pub fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// Every blob that the manifests name, once, in their order: of each its config, then its layers.
    ///
    /// Layers with `urls` are fetched from there and kept nowhere else, so they are left out. What an index names that
    /// is neither manifest nor index is a blob too.
    ///
    /// # Errors
    ///
    /// When a document is malformed.
    pub fn blobs(&self) -> Result<Vec<Descriptor>, ReadDocumentsError> {
        let mut seen = BTreeSet::new();
        let mut blobs = Vec::new();
        for document in &self.documents {
            let named = match document.parse()? {
                ParsedManifest::Manifest(manifest) => {
                    let Manifest { config, layers, .. } = *manifest;
                    [config].into_iter().chain(layers).collect()
                }
                ParsedManifest::Index(mut index) => {
                    index.manifests.retain(|entry| !is_document(&entry.media_type));
                    index.manifests
                }
            };
            let is_kept = |blob: &Descriptor| !blob.other.contains_key("urls") && seen.insert(blob.digest);
            blobs.extend(named.into_iter().filter(is_kept));
        }
        Ok(blobs)
    }
}

fn is_document(media_type: &MediaType) -> bool {
    media_type.is_manifest() || media_type.is_index()
}

/// Follows indexes down to the image for a platform.
///
/// # Errors
///
/// As [`Manifests::read`].
pub(crate) fn read_for_platform(
    source: &dyn BlobSource,
    root: &Descriptor,
    platform: &Platform,
) -> Result<(ManifestDocument, Option<Platform>), ReadDocumentsError> {
    let mut entry = root.clone();
    for _ in 0..=MAX_DEPTH {
        let document = ManifestDocument::read(source, &entry)?;
        let ParsedManifest::Index(index) = document.parse()? else {
            return Ok((document, entry.platform));
        };
        let chosen = index.choose(platform).ok_or_else(|| ReadDocumentsError::NoPlatform {
            digest: document.descriptor.digest,
            platform: Box::new(platform.clone()),
            available: index.platforms().into_iter().map(ToString::to_string).collect(),
        })?;
        entry = chosen.clone();
    }
    Err(ReadDocumentsError::TooMany { digest: root.digest })
}

/// A whole index on its way in.
struct Reading<'a> {
    source: &'a dyn BlobSource,
    seen: BTreeSet<Digest>,
    documents: Vec<ManifestDocument>,
}

impl Reading<'_> {
    fn collect(&mut self, entry: &Descriptor, depth: usize) -> Result<(), ReadDocumentsError> {
        if depth > MAX_DEPTH || self.seen.len() >= MAX_MANIFESTS {
            return Err(ReadDocumentsError::TooMany { digest: entry.digest });
        }
        if !self.seen.insert(entry.digest) {
            return Ok(());
        }
        let document = ManifestDocument::read(self.source, entry)?;
        if let ParsedManifest::Index(index) = document.parse()? {
            for child in index.manifests.iter().filter(|child| is_document(&child.media_type)) {
                self.collect(child, depth + 1)?;
            }
        }
        self.documents.push(document);
        Ok(())
    }
}
