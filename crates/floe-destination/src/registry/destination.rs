//! A registry as a [`Destination`]: layers stream into the repository while they are packed.

use std::io::Write;

use floe_image::oci::{Descriptor, Digest, Reference};
use floe_image::{BlobError, BlobSink, BlobSource};

use super::client::{OpenRegistryError, Registry};
use super::manifest::ManifestDocument;
use super::push::{PushConfig, PushImage, PushSession};
use crate::{DeliverError, Delivered, Destination, Documents, Either, ImageName};

/// A repository that takes one image.
#[derive(Debug)]
pub struct RegistryDestination {
    session: PushSession,
    reference: Reference,
    tags: Vec<String>,
}

impl RegistryDestination {
    /// Opens the repository of a reference; no request is sent. `tags` are given beside the reference's own.
    ///
    /// # Errors
    /// [`OpenRegistryError`].
    pub fn open(
        registry: &Registry,
        reference: &Reference,
        tags: Vec<String>,
        config: PushConfig,
    ) -> Result<Self, OpenRegistryError> {
        let session = PushSession::open(registry, reference, config)?;
        let own = reference.tag().map(str::to_owned);
        Ok(Self { session, reference: reference.clone(), tags: own.into_iter().chain(tags).collect() })
    }

    /// The session, to ask for the previous image before anything is packed.
    #[must_use]
    pub fn session(&self) -> &PushSession {
        &self.session
    }
}

impl Destination for RegistryDestination {
    fn sink(&self) -> &dyn BlobSink {
        &self.session
    }

    fn finish(
        self: Box<Self>,
        image: &Documents,
        _name: Option<&ImageName>,
        blobs: &dyn BlobSource,
    ) -> Result<Delivered, DeliverError> {
        let config = Config { digest: image.manifest.config.digest, bytes: &image.config_bytes };
        let document = ManifestDocument {
            descriptor: image.manifest_descriptor.clone(),
            bytes: image.manifest_bytes.clone(),
        };
        let push = PushImage { documents: vec![document], tags: self.tags };
        let report = self.session.push(&push, &Either(&config, blobs)).map_err(|source| {
            DeliverError::Other { action: format!("push '{}'", self.reference), source: Box::new(source) }
        })?;
        Ok(Delivered {
            location: format!("docker://{}", self.reference),
            manifest: report.manifest,
            written: report.sent_bytes,
        })
    }
}

/// The config, which is small and at hand.
struct Config<'a> {
    digest: Digest,
    bytes: &'a [u8],
}

impl BlobSource for Config<'_> {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        if blob.digest != self.digest {
            return Err(BlobError::Missing(blob.digest));
        }
        out.write_all(self.bytes)
            .map_err(|source| BlobError::Io { action: format!("copy config {}", blob.digest), source })
    }
}
