//! The layers that an image took over from its base, fetched from where the recipe says that they are: floe's own folder
//! of kept layers, or the registry that the base came from.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::OnceLock;

use floe_destination::registry::{Registry, RegistryConfig};
use floe_destination::{BlobCache, OpenCacheError};
use floe_image::image::{BaseLayer, BlobOrigin, Image};
use floe_image::oci::{Descriptor, Digest, Reference};
use floe_image::{BlobError, BlobSource};

use crate::places::Places;

/// The blobs of some layers of bases.
#[derive(Debug)]
pub(crate) struct BaseBlobs {
    origins: BTreeMap<Digest, BlobOrigin>,
    /// Present where a layer is kept.
    kept: Option<BlobCache>,
    /// Opened when a layer is wanted from a registry.
    registry: OnceLock<Registry>,
}

impl BaseBlobs {
    /// The layers of an image's base.
    pub(crate) fn of(image: &Image, places: &Places) -> Result<Self, OpenCacheError> {
        Self::new(&image.base, places)
    }

    /// These layers; nothing is fetched before it is asked for.
    pub(crate) fn new(layers: &[BaseLayer], places: &Places) -> Result<Self, OpenCacheError> {
        let origins: BTreeMap<Digest, BlobOrigin> =
            layers.iter().map(|base| (base.layer.descriptor.digest, base.origin.clone())).collect();
        let has_kept = origins.values().any(|origin| *origin == BlobOrigin::Kept);
        let kept = has_kept.then(|| kept_layers(places)).transpose()?;
        Ok(Self { origins, kept, registry: OnceLock::new() })
    }

    /// The registries that layers are in, for a repository on the same host to take them over.
    pub(crate) fn references(layers: &[BaseLayer]) -> BTreeMap<Digest, Reference> {
        let reference = |base: &BaseLayer| match &base.origin {
            BlobOrigin::Registry(reference) => Some((base.layer.descriptor.digest, reference.clone())),
            BlobOrigin::Kept => None,
        };
        layers.iter().filter_map(reference).collect()
    }

    fn fetch(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        out: &mut (dyn Write + Send),
    ) -> Result<(), BlobError> {
        let failed =
            |source| BlobError::Other { action: format!("fetch a layer from '{reference}'"), source };
        let registry = match self.registry.get() {
            Some(registry) => registry,
            None => {
                let config = RegistryConfig::of_process().map_err(|error| failed(error.into()))?;
                let registry = Registry::new(config).map_err(|error| failed(error.into()))?;
                self.registry.get_or_init(|| registry)
            }
        };
        registry.repository(reference).map_err(|error| failed(error.into()))?.copy_to(blob, out)
    }
}

impl BlobSource for BaseBlobs {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        match (self.origins.get(&blob.digest), &self.kept) {
            (Some(BlobOrigin::Registry(reference)), _) => self.fetch(reference, blob, out),
            (Some(BlobOrigin::Kept), Some(kept)) => kept.copy_to(blob, out),
            _ => Err(BlobError::Missing(blob.digest)),
        }
    }
}

/// The folder of kept layers, which has no bound: `floe gc` removes what no recorded image names.
pub(crate) fn kept_layers(places: &Places) -> Result<BlobCache, OpenCacheError> {
    BlobCache::open(&places.kept_layers(), u64::MAX)
}
