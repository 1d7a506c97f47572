//! Writing an archive from front to back: the documents that name everything first, then each blob once.
//!
//! Readers that get a stream scan it linearly, so `oci-layout`, `index.json` and `manifest.json` come before the blobs.
//! Blobs come from where they were spooled, else from the source; nothing is sought, so a pipe will do.

use std::fs::File;
use std::io::{self, Write};

use floe_image::oci::{Descriptor, Digest, Index, Manifest, canonical_json};
use floe_image::{BlobError, BlobSource};
use serde::Serialize;

use super::tar_writer;
use crate::destination::DeliverError;
use crate::oci_layout::{index_entry, layout_bytes};
use crate::staging::StagedBlobs;
use crate::{ImageName, Manifests, ParsedManifest};

/// Which documents an archive has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArchiveFormat {
    /// An OCI layout in a tar: podman, containerd and skopeo read it.
    Oci,
    /// An OCI layout with docker's `manifest.json`: docker reads it too.
    Hybrid,
}

impl ArchiveFormat {
    /// The word that sources and destinations of this format begin with.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Oci => "oci-archive",
            Self::Hybrid => "docker-archive",
        }
    }
}

/// What the image is called in an archive.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArchiveNames {
    /// docker's name: `RepoTags` of `manifest.json`.
    pub(crate) docker: Option<String>,
    /// containerd's and podman's name: the annotation `io.containerd.image.name`.
    pub(crate) containerd: Option<String>,
    /// The entry's tag.
    pub(crate) tag: Option<String>,
}

impl ArchiveNames {
    /// The names that all readers understand.
    pub(crate) fn new(name: Option<&ImageName>) -> Self {
        Self {
            docker: name.map(ToString::to_string),
            containerd: name.map(|name| name.reference().to_string()),
            tag: name.map(|name| name.tag().to_owned()),
        }
    }
}

/// Why an archive could not be written to its end.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// The output took no more.
    Output(io::Error),
    /// A blob could not be read.
    Blob(Digest, BlobError),
}

impl WriteFailure {
    /// The failure of a delivery; `place` names the output.
    pub(crate) fn into_error(self, place: &str) -> DeliverError {
        match self {
            Self::Output(source) => DeliverError::Io { action: format!("write {place}"), source },
            Self::Blob(digest, source) => DeliverError::Blob { digest, source },
        }
    }
}

/// What one archive holds.
pub(crate) struct ArchiveContents<'a> {
    manifests: &'a Manifests,
    /// Every blob, once, in the order in which it is written.
    blobs: Vec<Descriptor>,
    /// The one image that docker's `manifest.json` names, where there is to be one.
    for_docker: Option<Box<Manifest>>,
}

impl<'a> ArchiveContents<'a> {
    /// Finds out what goes into an archive. The hybrid names one image, so there an index is refused; `place` says in the
    /// error what takes one image only.
    pub(crate) fn new(
        manifests: &'a Manifests,
        format: ArchiveFormat,
        place: &str,
    ) -> Result<Self, DeliverError> {
        let blobs = manifests.blobs()?;
        let for_docker = match format {
            ArchiveFormat::Oci => None,
            ArchiveFormat::Hybrid => match manifests.top().parse()? {
                ParsedManifest::Manifest(manifest) => Some(manifest),
                ParsedManifest::Index(index) => {
                    let platforms = index.platforms().into_iter().map(ToString::to_string).collect();
                    return Err(DeliverError::OneImage { place: place.to_owned(), platforms });
                }
            },
        };
        Ok(Self { manifests, blobs, for_docker })
    }
}

/// What one archive is written from.
pub(crate) struct ArchiveWriter<'a> {
    pub(crate) contents: ArchiveContents<'a>,
    pub(crate) names: ArchiveNames,
    pub(crate) spooled: &'a StagedBlobs,
    pub(crate) blobs: &'a dyn BlobSource,
}

/// docker's list of images in an archive (Docker image-spec v1.2, "Combined Image JSON").
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

impl ArchiveWriter<'_> {
    /// Writes the whole archive; returns its bytes.
    pub(crate) fn write(&self, out: &mut (dyn Write + Send)) -> Result<u64, WriteFailure> {
        let mut out = Counted { out, written: 0 };
        let mut write_bytes = |name: &str, bytes: &[u8]| {
            tar_writer::write_header(&mut out, name, bytes.len() as u64)
                .and_then(|()| out.write_all(bytes))
                .and_then(|()| tar_writer::write_padding(&mut out, bytes.len() as u64))
                .map_err(WriteFailure::Output)
        };
        write_bytes("oci-layout", &layout_bytes())?;
        write_bytes("index.json", &self.index_bytes())?;
        if let Some(manifest) = &self.contents.for_docker {
            write_bytes("manifest.json", &self.docker_bytes(manifest))?;
        }
        for document in self.contents.manifests.documents() {
            write_bytes(&blob_name(&document.descriptor), &document.bytes)?;
        }
        for blob in &self.contents.blobs {
            tar_writer::write_header(&mut out, &blob_name(blob), blob.size).map_err(WriteFailure::Output)?;
            self.write_blob(blob, &mut out)?;
            tar_writer::write_padding(&mut out, blob.size).map_err(WriteFailure::Output)?;
        }
        tar_writer::write_end(&mut out).map_err(WriteFailure::Output)?;
        Ok(out.written)
    }

    fn write_blob(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), WriteFailure> {
        let mut entry = Entry { out, left: blob.size, failure: None };
        let copied = match self.spooled.find(&blob.digest) {
            Some(path) => File::open(&path)
                .and_then(|mut file| io::copy(&mut file, &mut entry))
                .map(drop)
                .map_err(|source| BlobError::Io { action: format!("copy {}", path.display()), source }),
            None => self.blobs.copy_to(blob, &mut entry),
        };
        let Entry { left, failure, .. } = entry;
        match (failure, copied) {
            (Some(failure), _) => Err(WriteFailure::Output(failure)),
            (None, Err(error)) => Err(WriteFailure::Blob(blob.digest, error)),
            (None, Ok(())) if left > 0 => {
                let source = io::Error::from(io::ErrorKind::UnexpectedEof);
                let action = format!("read {} bytes of blob {}", blob.size, blob.digest);
                Err(WriteFailure::Blob(blob.digest, BlobError::Io { action, source }))
            }
            (None, Ok(())) => Ok(()),
        }
    }

    fn index_bytes(&self) -> Vec<u8> {
        let (tag, name) = (self.names.tag.as_deref(), self.names.containerd.as_deref());
        canonical_json::to_vec(&Index::new(vec![index_entry(self.contents.manifests, tag, name)]))
    }

    fn docker_bytes(&self, manifest: &Manifest) -> Vec<u8> {
        canonical_json::to_vec(&[DockerImage {
            config: blob_name(&manifest.config),
            repo_tags: self.names.docker.iter().cloned().collect(),
            layers: manifest.layers.iter().map(blob_name).collect(),
        }])
    }
}

fn blob_name(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest.hex())
}

/// Counts what passes.
struct Counted<'a> {
    out: &'a mut (dyn Write + Send),
    written: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The place of one file in the tar; remembers that the output failed, which is not the blob's fault.
struct Entry<'a> {
    out: &'a mut (dyn Write + Send),
    left: u64,
    failure: Option<io::Error>,
}

impl Write for Entry<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::other("more bytes came than the descriptor names"));
        }
        match self.out.write(bytes) {
            Ok(written) => {
                self.left -= written as u64;
                Ok(written)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
