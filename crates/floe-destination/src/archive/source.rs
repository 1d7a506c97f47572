//! Reading an archive without unpacking it: an OCI archive, the hybrid, or docker's own form.
//!
//! The tar is indexed once; each blob is then copied from its place and verified. docker's form before version 25 has
//! no OCI documents: its layers are named by path, without digests, so they are hashed when the archive is opened
//! and a manifest is made that names them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use floe_image::oci::{Descriptor, Digest, DigestHasher, Index, Manifest, MediaType, canonical_json};
use floe_image::{BlobError, BlobSource};
use serde::Deserialize;

use super::plain::{self, COMPRESSIONS};
use super::tar_index::{self, IndexFailure, Span};
use crate::documents::MAX_DOCUMENT;
use crate::oci_layout::{self, REFERENCE_NAME, ResolveError};
use crate::verify;

/// An archive that is read.
///
/// ```no_run
/// use floe_destination::Archive;
///
/// let archive = Archive::open("image.tar".as_ref(), "spool".as_ref())?;
/// let manifest = archive.resolve(None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: File,
    index: Index,
    blobs: BTreeMap<Digest, Span>,
    /// Documents that were made when the archive was opened, for docker's own form.
    made: BTreeMap<Digest, Vec<u8>>,
}

/// Why a file could not be opened as an archive.
#[derive(Debug, thiserror::Error)]
pub enum OpenArchiveError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The whole tar is compressed in a way that floe does not undo.
    #[error("'{}' is compressed with {compression}: expected a tar, plain or in gzip or zstd", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
        /// The compression, which is also the name of the program that undoes it.
        compression: &'static str,
    },
    /// The file is no tar, is cut off, or its documents are malformed.
    #[error("'{}' is not an image archive: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected.
        reason: String,
    },
}

/// One image of docker's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Archive {
    /// Opens an archive: finds its files and reads the document that names its images.
    ///
    /// One that is compressed as a whole with gzip or zstd, or comes down a pipe, is written into `spool` first, into a
    /// file that has no name.
    ///
    /// # Errors
    ///
    /// When the file is no tar, or holds no image.
    pub fn open(path: &Path, spool: &Path) -> Result<Self, OpenArchiveError> {
        let cannot = |source| OpenArchiveError::Read { path: path.to_owned(), source };
        let mut file = plain::open(path, spool)?;
        let malformed = |reason| OpenArchiveError::Malformed { path: path.to_owned(), reason };
        let files = tar_index::index(&mut file).map_err(|failure| match failure {
            IndexFailure::Read(source) => cannot(source),
            IndexFailure::Malformed(reason) => malformed(reason),
        })?;
        let blobs = files.iter().filter_map(|(name, span)| {
            let hex = name.strip_prefix("blobs/sha256/")?;
            Some((format!("sha256:{hex}").parse().ok()?, *span))
        });
        let mut archive = Self {
            path: path.to_owned(),
            blobs: blobs.collect(),
            index: Index::new(Vec::new()),
            made: BTreeMap::new(),
            file,
        };
        if let Some(span) = files.get("index.json") {
            archive.index = archive.parse("index.json", *span)?;
        } else if let Some(span) = files.get("manifest.json") {
            let images: Vec<DockerImage> = archive.parse("manifest.json", *span)?;
            for image in &images {
                archive.add_docker_image(image, &files)?;
            }
        } else {
            return Err(malformed("expected 'index.json' or 'manifest.json'".to_owned()));
        }
        Ok(archive)
    }

    /// The images of the archive.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The image with a tag, a digest, or docker's name; the only one when none is given.
    ///
    /// # Errors
    ///
    /// When there is none, or several of which none was named.
    pub fn resolve(&self, wanted: Option<&str>) -> Result<Descriptor, ResolveError> {
        oci_layout::resolve(&self.index, wanted)
    }

    /// Describes an image of docker's own form.
    fn add_docker_image(
        &mut self,
        image: &DockerImage,
        files: &BTreeMap<String, Span>,
    ) -> Result<(), OpenArchiveError> {
        let find = |name: &String| {
            let reason = || format!("'manifest.json' names '{name}', which is not there");
            files
                .get(name)
                .copied()
                .ok_or_else(|| OpenArchiveError::Malformed { path: self.path.clone(), reason: reason() })
        };
        let config_span = find(&image.config)?;
        let config = Descriptor::of(MediaType::Config, &self.read(&image.config, config_span)?);
        let spans = image.layers.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let mut layers = Vec::new();
        for span in spans {
            let layer = self
                .describe_layer(span)
                .map_err(|source| OpenArchiveError::Read { path: self.path.clone(), source })?;
            self.blobs.insert(layer.digest, span);
            layers.push(layer);
        }
        self.blobs.insert(config.digest, config_span);
        let bytes = canonical_json::to_vec(&Manifest::image(config, layers, BTreeMap::new()));
        let descriptor = Descriptor::of(MediaType::Manifest, &bytes);
        self.made.insert(descriptor.digest, bytes);
        let tags = image.repo_tags.as_deref().unwrap_or_default();
        if tags.is_empty() {
            self.index.manifests.push(descriptor.clone());
        }
        for tag in tags {
            let mut entry = descriptor.clone();
            entry.annotations.insert(REFERENCE_NAME.to_owned(), tag.clone());
            self.index.manifests.push(entry);
        }
        Ok(())
    }

    /// Hashes a layer and looks at how it is compressed.
    fn describe_layer(&self, span: Span) -> io::Result<Descriptor> {
        let mut start = Vec::new();
        self.reader(span).take(8).read_to_end(&mut start)?;
        let found = COMPRESSIONS.iter().find(|(magic, _)| start.starts_with(magic));
        let media_type = match found.map(|(_, compression)| *compression) {
            Some("gzip") => MediaType::LayerGzip,
            Some("zstd") => MediaType::LayerZstd,
            _ => MediaType::LayerTar,
        };
        let mut hasher = DigestHasher::default();
        let mut reader = self.reader(span);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        Ok(Descriptor::new(media_type, hasher.finish(), span.size))
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, name: &str, span: Span) -> Result<T, OpenArchiveError> {
        serde_json::from_slice(&self.read(name, span)?).map_err(|error| OpenArchiveError::Malformed {
            path: self.path.clone(),
            reason: format!("'{name}': {error}"),
        })
    }

    /// Reads a document of at most [`MAX_DOCUMENT`] bytes.
    fn read(&self, name: &str, span: Span) -> Result<Vec<u8>, OpenArchiveError> {
        if span.size > MAX_DOCUMENT {
            let reason = format!("'{name}' has {} bytes: expected at most {MAX_DOCUMENT}", span.size);
            return Err(OpenArchiveError::Malformed { path: self.path.clone(), reason });
        }
        let mut bytes = Vec::new();
        self.reader(span)
            .read_to_end(&mut bytes)
            .map_err(|source| OpenArchiveError::Read { path: self.path.clone(), source })?;
        Ok(bytes)
    }

    /// Reads a span at its own position, so that several threads can read at once.
    fn reader(&self, span: Span) -> SpanReader<'_> {
        SpanReader { file: &self.file, at: span.offset, left: span.size }
    }
}

impl BlobSource for Archive {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let place = format!("{} in {}", blob.digest, self.path.display());
        if let Some(bytes) = self.made.get(&blob.digest) {
            return verify::copy(blob, &place, &mut bytes.as_slice(), out);
        }
        let span = *self.blobs.get(&blob.digest).ok_or(BlobError::Missing(blob.digest))?;
        verify::copy(blob, &place, &mut self.reader(span), out)
    }
}

struct SpanReader<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for SpanReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
