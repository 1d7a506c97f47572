//! A destination is where an image goes: first its blobs, while they are packed, then the whole at once.
//!
//! The flow: layers and config are packed into [`Destination::sink`], from many threads; then
//! [`Destination::finish`] takes the manifests and makes the image, or a whole index of images, appear. A destination
//! that is dropped before that, by a failure or an interrupt, leaves nothing behind.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;

use floe_image::image::PreviousImage;
use floe_image::layer::Knowledge;
use floe_image::oci::{Descriptor, Digest, Reference};
use floe_image::{BlobError, BlobSink, BlobSource};

use crate::{EngineError, ImageName, Manifests, ReadDocumentsError};

/// A place that takes what one name stands for: an image, or an index of images.
pub trait Destination: Send + Sync {
    /// Where blobs go while layers are packed.
    ///
    /// A sink that [asks later](BlobSink::asks_later) asks [`finish`](Self::finish)'s `blobs`.
    fn sink(&self) -> &dyn BlobSink;

    /// Who delivers it. Destinations of one queue are finished one after the other, in their order, and of several queues at
    /// once: each registry's host is one, this machine another.
    fn queue(&self) -> &str {
        ""
    }

    /// What the images say of their layers that the place has under the name already; nothing where it cannot tell. The
    /// place is asked when the knowledge is.
    fn previous(&self) -> &dyn Knowledge {
        &()
    }

    /// Those images themselves, for a planner that keeps their layers.
    fn previous_images(&self) -> &[PreviousImage] {
        &[]
    }

    /// Says in which registries some blobs are, before any is asked for: a repository takes over by itself what its own
    /// host has.
    fn mount_from(&self, places: &BTreeMap<Digest, Reference>) {
        let _ = places;
    }

    /// Makes the image appear, whole, under `name`, or leaves nothing.
    ///
    /// `blobs` yields any config or layer again that the sink did not take. Manifests are written as they are, byte for
    /// byte. A name that the destination itself carries (`oci:DIR:TAG`) comes first.
    ///
    /// # Errors
    ///
    /// When a blob is missing or cannot be written, or the destination refuses the image.
    fn finish(
        self: Box<Self>,
        manifests: &Manifests,
        name: Option<&ImageName>,
        blobs: &dyn BlobSource,
    ) -> Result<Delivered, DeliverError>;
}

/// What was delivered, for the report to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Where the image is now, in the words of the place: `oci:/srv/app:1.0`, `localhost/app:1.0`.
    pub location: String,
    /// The manifest or index as the place stores it.
    pub manifest: Descriptor,
    /// Bytes that were written or sent, documents and layers, as stored; those that were there already do not count.
    pub written: u64,
}

/// Why an image could not be delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// A file or directory could not be read or written: no space, no permission.
    #[error("cannot {action}")]
    Io {
        /// What was tried, with the path.
        action: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A blob could not be read from its source or written here; the image would be incomplete.
    #[error("cannot deliver blob {digest}")]
    Blob {
        /// The blob.
        digest: Digest,
        /// Why.
        #[source]
        source: BlobError,
    },
    /// A manifest could not be understood, so what it needs is not known.
    #[error(transparent)]
    Documents(#[from] ReadDocumentsError),
    /// The place holds images of one platform only; which one of the index is meant must be said.
    #[error("{place} takes one image: expected a manifest, not an index{}", of_platforms(platforms))]
    OneImage {
        /// The kind of place: `a docker-archive`.
        place: String,
        /// The platforms of the index.
        platforms: Vec<String>,
    },
    /// The directory holds other things; mixing an image into it would be a surprise.
    #[error("'{}' is neither empty nor an OCI layout: expected a new or empty directory, or one with 'oci-layout'", .0.display())]
    NotALayout(PathBuf),
    /// A document that is there already cannot be understood; replacing it could lose images.
    #[error("'{}' is malformed: {reason}", path.display())]
    Malformed {
        /// The document.
        path: PathBuf,
        /// What was expected.
        reason: String,
    },
    /// An engine is absent or did not take the image.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The place's own reason: a registry's answer.
    #[error("cannot {action}")]
    Other {
        /// What was tried, with the value at fault.
        action: String,
        /// The place's own error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

fn of_platforms(platforms: &[String]) -> String {
    if platforms.is_empty() { String::new() } else { format!(" of {}", platforms.join(", ")) }
}

/// A source that asks a second one for what the first does not hold.
///
/// Only [`BlobError::Missing`] leads to the second: any other failure may come after bytes were written.
#[derive(Clone, Copy)]
pub struct Either<'a>(pub &'a dyn BlobSource, pub &'a dyn BlobSource);

impl BlobSource for Either<'_> {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn io::Write + Send)) -> Result<(), BlobError> {
        match self.0.copy_to(blob, out) {
            Err(BlobError::Missing(_)) => self.1.copy_to(blob, out),
            result => result,
        }
    }
}
