//! A source is where an image comes from: its blobs, and what its name stands for.
//!
//! [`SourceName`](crate::SourceName) is what a user writes; opened, it is an [`ImageSource`]. From there
//! [`Manifests::read`](crate::Manifests::read) follows the [`root`](ImageSource::root) to a whole index or to one
//! platform, and [`Documents::read`](crate::Documents::read) reads one image's config too.

use std::io::Write;

use floe_image::oci::Descriptor;
use floe_image::{BlobError, BlobSource};

use crate::archive::OpenArchiveError;
use crate::oci_layout::{OpenLayoutError, ResolveError};
use crate::registry::{ManifestError, OpenRegistryError};
use crate::{EngineError, ImageName};

/// A place that an image, or an index of images, is read from.
pub trait ImageSource: BlobSource {
    /// Describes what the name stands for: a manifest, or an index.
    fn root(&self) -> &Descriptor;

    /// What the image is called there, for a destination whose name was left out.
    fn name(&self) -> Option<&ImageName>;

    /// Whether bytes come over a network, so that they should come once only.
    fn is_remote(&self) -> bool {
        false
    }
}

/// Why a source could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenSourceError {
    /// The directory is no OCI layout.
    #[error(transparent)]
    Layout(#[from] OpenLayoutError),
    /// The file is no archive.
    #[error(transparent)]
    Archive(#[from] OpenArchiveError),
    /// The layout or archive has no image of the name, or several of which none was named.
    #[error("cannot choose an image in '{place}'")]
    Resolve {
        /// The layout or archive, as it was written.
        place: String,
        /// Why, with the names that are there.
        #[source]
        source: ResolveError,
    },
    /// The engine is absent, or does not have the image.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The registry cannot be spoken to.
    #[error(transparent)]
    Registry(#[from] OpenRegistryError),
    /// The registry does not have the image, or does not give it.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// A place with what was found in it.
pub(crate) struct Found<S> {
    pub(crate) place: S,
    pub(crate) root: Descriptor,
    pub(crate) name: Option<ImageName>,
}

impl<S: BlobSource> BlobSource for Found<S> {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        self.place.copy_to(blob, out)
    }
}

impl<S: BlobSource> ImageSource for Found<S> {
    fn root(&self) -> &Descriptor {
        &self.root
    }

    fn name(&self) -> Option<&ImageName> {
        self.name.as_ref()
    }
}
