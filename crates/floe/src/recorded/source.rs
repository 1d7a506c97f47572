//! A recorded image as a source: layers come from the blob cache, or are packed again from the store.

use std::io::Write;

use floe_destination::{ImageName, ImageSource, Manifests};
use floe_image::oci::Descriptor;
use floe_image::{BlobError, BlobSource};
use floe_store::tree::LocalTrees;

use crate::failure::Outcome;
use crate::places::Places;
use crate::recorded::Recorded;
use crate::recorded::recipes::Recipes;
use crate::workshop;

/// A recorded image that is read.
pub(crate) struct RecordedSource {
    name: ImageName,
    trees: LocalTrees,
    recipes: Recipes,
    manifests: Manifests,
    root: Descriptor,
}

impl RecordedSource {
    /// Opens a recorded image; nothing is packed yet.
    pub(crate) fn open(recorded: &Recorded, name: &ImageName, places: &Places) -> Outcome<Self> {
        let recipes = Recipes::new(recorded.images(), places, workshop::processors())?;
        let manifests = recipes.manifests()?;
        let root =
            Descriptor { platform: manifests.platform().cloned(), ..manifests.top().descriptor.clone() };
        Ok(Self { name: name.clone(), trees: recorded.trees(), recipes, manifests, root })
    }
}

impl BlobSource for RecordedSource {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let mut documents = self.manifests.documents().iter();
        match documents.find(|document| document.descriptor.digest == blob.digest) {
            Some(document) => out
                .write_all(&document.bytes)
                .map_err(|source| BlobError::Io { action: format!("write {}", blob.digest), source }),
            None => self.recipes.blobs(&self.trees).copy_to(blob, out),
        }
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
