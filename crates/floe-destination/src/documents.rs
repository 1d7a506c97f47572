//! Documents are an image without its layers' bytes: the manifest and the config, as bytes and as values.
//!
//! Written by floe they come from [`Documents::new`]; read from a layout, an archive or a registry, from
//! [`Documents::read`], which follows an index to one platform and verifies every digest on the way. Where a whole index
//! or any manifest will do, there are [`Manifests`], which know no config.

use std::io::{self, Write};

use floe_image::oci::{Config, Descriptor, Digest, Manifest, MediaType, Platform, canonical_json};
use floe_image::{BlobError, BlobSource};
use serde::de::DeserializeOwned;

use crate::manifests::{ManifestDocument, Manifests, read_for_platform};

/// The largest manifest, index or config that is read: what registries accept (distribution-spec v1.1, "Pushing
/// Manifests"), and far more than any real one.
pub const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;

/// A finished image as documents: everything but the layers' bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documents {
    /// The manifest.
    pub manifest: Manifest,
    /// The manifest as stored.
    pub document: ManifestDocument,
    /// The config.
    pub config: Config,
    /// The config's bytes as stored; `manifest.config` describes them.
    pub config_bytes: Vec<u8>,
}

/// Why an image's documents could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadDocumentsError {
    /// A document is not there, or its bytes are not those that its digest names.
    #[error("cannot read {media_type} {digest}")]
    Blob {
        /// The document's digest.
        digest: Digest,
        /// What the document is.
        media_type: MediaType,
        /// Why.
        #[source]
        source: Box<BlobError>,
    },
    /// A document is larger than any real one; reading it could exhaust the memory.
    #[error("{media_type} {digest} has {size} bytes: expected at most {MAX_DOCUMENT}")]
    TooLarge {
        /// The document's digest.
        digest: Digest,
        /// What the document is.
        media_type: MediaType,
        /// The size that its descriptor names, in bytes.
        size: u64,
    },
    /// A document's bytes are right but do not follow its specification.
    #[error("{media_type} {digest} is malformed")]
    Malformed {
        /// The document's digest.
        digest: Digest,
        /// What the document should be.
        media_type: MediaType,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The name leads to something that is no image, such as a signature's blob.
    #[error("{digest} is a {media_type}: expected an image manifest or an index of them")]
    NotAnImage {
        /// The digest.
        digest: Digest,
        /// What it is.
        media_type: MediaType,
    },
    /// The index has no image for the platform.
    #[error("index {digest} has no image for {platform}; it has {}", listing(available))]
    NoPlatform {
        /// The index's digest.
        digest: Digest,
        /// The platform that was asked for.
        platform: Box<Platform>,
        /// The platforms that the index has.
        available: Vec<String>,
    },
    /// Indexes lie in indexes deeper, or name more manifests, than any real one; following them could go on forever.
    #[error("index {digest} names more manifests than any image has")]
    TooMany {
        /// The index's digest.
        digest: Digest,
    },
}

fn listing(platforms: &[String]) -> String {
    if platforms.is_empty() { "none that names its platform".to_owned() } else { platforms.join(", ") }
}

impl Documents {
    /// Joins a manifest and a config that were just made.
    ///
    /// # Panics
    ///
    /// When `manifest.config` does not describe `config_bytes` or they are no config: a bug of the caller.
    #[must_use]
    pub fn new(manifest: Manifest, config_bytes: Vec<u8>) -> Self {
        assert_eq!(
            manifest.config.digest,
            Digest::of(&config_bytes),
            "the manifest names the config's digest"
        );
        let config = serde_json::from_slice(&config_bytes).expect("the caller wrote a config");
        let media_type = manifest.media_type.clone().unwrap_or(MediaType::Manifest);
        let document = ManifestDocument::new(media_type, canonical_json::to_vec(&manifest));
        Self { manifest, document, config, config_bytes }
    }

    /// Reads the image that `root` names: a manifest, or an index in which `platform` is looked up.
    ///
    /// # Errors
    ///
    /// When a document is missing, damaged, too large, or not for this platform.
    pub fn read(
        source: &dyn BlobSource,
        root: &Descriptor,
        platform: &Platform,
    ) -> Result<Self, ReadDocumentsError> {
        let (document, _) = read_for_platform(source, root, platform)?;
        let manifest: Manifest = parse(&document.descriptor, &document.bytes)?;
        let config_bytes = read_bytes(source, &manifest.config)?;
        let config = parse(&manifest.config, &config_bytes)?;
        Ok(Self { manifest, document, config, config_bytes })
    }

    /// The manifest alone, as destinations take it.
    #[must_use]
    pub fn manifests(&self) -> Manifests {
        Manifests::image(self.document.clone(), Some(self.config.platform()))
    }
}

/// Reads a whole document into memory, at most [`MAX_DOCUMENT`] bytes.
///
/// # Errors
///
/// When it is larger, missing, or its bytes are not those that its digest names.
pub fn read_bytes(source: &dyn BlobSource, blob: &Descriptor) -> Result<Vec<u8>, ReadDocumentsError> {
    let (digest, media_type) = (blob.digest, blob.media_type.clone());
    if blob.size > MAX_DOCUMENT {
        return Err(ReadDocumentsError::TooLarge { digest, media_type, size: blob.size });
    }
    let mut bytes = Bounded(Vec::new());
    match source.copy_to(blob, &mut bytes) {
        Ok(()) => Ok(bytes.0),
        Err(error) => Err(ReadDocumentsError::Blob { digest, media_type, source: Box::new(error) }),
    }
}

/// Memory that takes no more than a document, whatever a source writes.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > MAX_DOCUMENT {
            return Err(io::Error::other("more bytes came than the descriptor names"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(descriptor: &Descriptor, bytes: &[u8]) -> Result<T, ReadDocumentsError> {
    serde_json::from_slice(bytes).map_err(|source| ReadDocumentsError::Malformed {
        digest: descriptor.digest,
        media_type: descriptor.media_type.clone(),
        source,
    })
}
