//! A recorded image as a source: layers come from the blob cache, or are packed again from the store.

use std::io::Write;

use floe_destination::{BlobCache, Documents, ImageName, ImageSource};
use floe_image::image::RecipeBlobs;
use floe_image::layer::Packer;
use floe_image::oci::Descriptor;
use floe_image::{BlobError, BlobSource};
use floe_store::tree::LocalTrees;

use crate::base::BaseBlobs;
use crate::failure::Outcome;
use crate::places::Places;
use crate::recorded::Recorded;
use crate::workshop;

/// A recorded image that is read.
pub(crate) struct RecordedSource {
    recorded: Recorded,
    name: ImageName,
    trees: LocalTrees,
    cache: BlobCache,
    base: BaseBlobs,
    packer: Packer,
    documents: Documents,
    root: Descriptor,
}

impl RecordedSource {
    /// Opens a recorded image; nothing is packed yet.
    pub(crate) fn open(recorded: Recorded, name: &ImageName, places: &Places) -> Outcome<Self> {
        let image = &recorded.image;
        let documents = Documents::new(image.manifest(), image.config_bytes());
        let root =
            Descriptor { platform: Some(image.config.platform()), ..documents.document.descriptor.clone() };
        Ok(Self {
            name: name.clone(),
            trees: recorded.trees(),
            cache: workshop::cache(places)?,
            base: BaseBlobs::of(image, places)?,
            packer: workshop::packer(image.compression, workshop::processors())?,
            documents,
            root,
            recorded,
        })
    }
}

impl BlobSource for RecordedSource {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        if blob.digest == self.root.digest {
            let failed = |source| BlobError::Io { action: format!("write {}", blob.digest), source };
            return out.write_all(&self.documents.document.bytes).map_err(failed);
        }
        let blobs = RecipeBlobs {
            image: &self.recorded.image,
            trees: &self.trees,
            cache: Some(&self.cache),
            base: &self.base,
            packer: &self.packer,
        };
        blobs.copy_to(blob, out)
    }
}

impl ImageSource for RecordedSource {
    fn root(&self) -> &Descriptor {
        &self.root
    }

    fn name(&self) -> Option<&ImageName> {
        Some(&self.name)
    }
}
