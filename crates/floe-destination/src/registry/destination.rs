//! A registry as a [`Destination`]: layers stream into the repository while they are packed.
//!
//! Several references that get the same image are opened together: of those on one host the first takes the bytes, and
//! the others get them from there.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use floe_image::image::PreviousImage;
use floe_image::layer::Knowledge;
use floe_image::oci::{Descriptor, Digest, Reference};
use floe_image::{BlobError, BlobSink, BlobSource, BlobWriter};

use super::client::{OpenRegistryError, Registry};
use super::push::{PushConfig, PushSession};
use crate::{DeliverError, Delivered, Destination, ImageName, Manifests};

/// A repository that takes an image or an index.
#[derive(Debug)]
pub struct RegistryDestination {
    session: Arc<PushSession>,
    reference: Reference,
    tags: Vec<String>,
    /// Whether a destination before this one takes the blobs.
    follows: bool,
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
        let session = Arc::new(PushSession::open(registry, reference, config)?);
        let own = reference.tag().map(str::to_owned);
        let tags = own.into_iter().chain(tags).collect();
        Ok(Self { session, reference: reference.clone(), tags, follows: false })
    }

    /// Opens the repositories of references that all get the same image, in their order; no request is sent.
    ///
    /// They must be [finished](Destination::finish) in this order too, as destinations of one [queue](Destination::queue)
    /// are: on each host the blobs go to the first repository, and the others mount them.
    ///
    /// # Errors
    /// [`OpenRegistryError`].
    pub fn open_together(
        registry: &Registry,
        references: &[Reference],
        config: &PushConfig,
    ) -> Result<Vec<Self>, OpenRegistryError> {
        let mut opened: Vec<Self> = Vec::with_capacity(references.len());
        for reference in references {
            let is_same = |other: &&Reference| {
                (other.host(), other.repository()) == (reference.host(), reference.repository())
            };
            let mut config = config.clone();
            // Where one tag is new, the image may stand under another.
            let others = references.iter().filter(is_same).filter_map(Reference::tag).map(str::to_owned);
            config.previous_tags.extend(others);
            let mut next = Self::open(registry, reference, Vec::new(), config)?;
            if let Some(leader) = opened.iter().find(|leader| next.is_same_repository(leader)) {
                next.session = Arc::clone(&leader.session);
                next.follows = true;
            } else if let Some(leader) = opened.iter().find(|leader| leader.queue() == next.queue()) {
                let source = leader.session.repository().primary.repository.clone();
                let config = PushConfig { mount_from: Some(source), ..PushConfig::default() };
                next.session = Arc::new(PushSession::open(registry, reference, config)?);
                next.follows = true;
            }
            opened.push(next);
        }
        Ok(opened)
    }

    /// The session, to ask for the previous image before anything is packed.
    #[must_use]
    pub fn session(&self) -> &PushSession {
        &self.session
    }

    fn is_same_repository(&self, other: &Self) -> bool {
        let place = |it: &Self| it.session.repository().primary.repository.clone();
        self.queue() == other.queue() && place(self) == place(other)
    }
}

impl Destination for RegistryDestination {
    fn sink(&self) -> &dyn BlobSink {
        if self.follows { &TakesNothing } else { &*self.session }
    }

    fn queue(&self) -> &str {
        self.session.repository().primary.host.name()
    }

    fn previous(&self) -> &dyn Knowledge {
        if self.follows { &() } else { &*self.session }
    }

    fn previous_images(&self) -> &[PreviousImage] {
        if self.follows { &[] } else { self.session.previous_images().images() }
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

/// The sink of a repository that gets its blobs from another one in the end.
struct TakesNothing;

impl BlobSink for TakesNothing {
    fn holds(&self, _blob: &Descriptor) -> Result<bool, BlobError> {
        Ok(false)
    }

    fn asks_later(&self) -> bool {
        true
    }

    fn begin(&self, _known: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>, BlobError> {
        Ok(Box::new(Self))
    }
}

impl Write for TakesNothing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for TakesNothing {
    fn commit(self: Box<Self>, _blob: &Descriptor) -> Result<(), BlobError> {
        Ok(())
    }
}
