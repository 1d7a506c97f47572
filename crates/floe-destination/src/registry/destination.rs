//! A registry as a [`Destination`]: layers stream into the repository while they are packed.

use std::collections::BTreeMap;

use floe_image::image::PreviousImages;
use floe_image::oci::{Digest, Reference};
use floe_image::{BlobSink, BlobSource};

use super::client::{OpenRegistryError, Registry};
use super::push::{PushConfig, PushSession};
use crate::{DeliverError, Delivered, Destination, ImageName, Manifests};

/// A repository that takes an image or an index.
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

    fn previous(&self) -> Result<PreviousImages, DeliverError> {
        self.session.previous_images().map_err(|source| DeliverError::Other {
            action: format!("read what '{}' names", self.reference),
            source: Box::new(source),
        })
    }

    fn mount_from(&self, places: &BTreeMap<Digest, Reference>) {
        self.session.mount_from(places);
    }

    fn finish(
        self: Box<Self>,
        manifests: &Manifests,
        _name: Option<&ImageName>,
        blobs: &dyn BlobSource,
    ) -> Result<Delivered, DeliverError> {
        let pushed = self.session.push(manifests, &self.tags, blobs);
        let report = pushed.map_err(|source| DeliverError::Other {
            action: format!("push '{}'", self.reference),
            source: Box::new(source),
        })?;
        Ok(Delivered {
            location: format!("docker://{}", self.reference),
            manifest: report.manifest,
            written: report.sent_bytes,
        })
    }
}
