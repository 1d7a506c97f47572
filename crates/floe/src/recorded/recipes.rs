//! The recipes of one name, one image for each platform: their manifests, and their blobs from wherever those are.

use std::io::Write;
use std::num::NonZeroUsize;

use floe_destination::{BlobCache, Documents, Manifests};
use floe_image::image::{Image, RecipeBlobs};
use floe_image::layer::Packer;
use floe_image::oci::Descriptor;
use floe_image::{BlobError, BlobSource};
use floe_store::TreeSource;

use crate::base::BaseBlobs;
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::workshop;

/// Images, and what their blobs are made with. Invariant: not empty.
pub(crate) struct Recipes {
    images: Vec<Recipe>,
    cache: BlobCache,
}

struct Recipe {
    image: Image,
    base: BaseBlobs,
    packer: Packer,
}

impl Recipes {
    /// Prepares to make blobs of images, each on some of so many threads; nothing is packed yet.
    pub(crate) fn new<'a>(
        images: impl IntoIterator<Item = &'a Image>,
        places: &Places,
        threads: NonZeroUsize,
    ) -> Outcome<Self> {
        let recipe = |image: &Image| {
            let (base, packer) =
                (BaseBlobs::of(image, places)?, workshop::packer(image.compression, threads)?);
            Ok(Recipe { image: image.clone(), base, packer })
        };
        let images = images.into_iter().map(recipe).collect::<Outcome<_>>()?;
        Ok(Self { images, cache: workshop::cache(places)? })
    }

    /// The manifest of the only image, or the index that joins several.
    pub(crate) fn manifests(&self) -> Outcome<Manifests> {
        manifests(self.images.iter().map(|recipe| &recipe.image))
    }

    /// The blobs, whose store paths are in `trees`.
    pub(crate) fn blobs<'a>(&'a self, trees: &'a dyn TreeSource) -> RecipesIn<'a> {
        RecipesIn { recipes: self, trees }
    }
}

/// The manifest of the only image, or the index that joins several.
pub(crate) fn manifests<'a>(images: impl IntoIterator<Item = &'a Image>) -> Outcome<Manifests> {
    let documents = |image: &Image| Documents::new(image.manifest(), image.config_bytes());
    let mut images: Vec<Documents> = images.into_iter().map(documents).collect();
    if let [_] = images.as_slice() {
        return Ok(images.remove(0).manifests());
    }
    let children = images.into_iter().map(|image| (image.document, image.config.platform())).collect();
    Manifests::joined(children).map_err(|error| {
        Failure::usage(error).hint("name each system once, and contents that are for the system")
    })
}

/// The blobs of recipes.
pub(crate) struct RecipesIn<'a> {
    recipes: &'a Recipes,
    trees: &'a dyn TreeSource,
}

impl BlobSource for RecipesIn<'_> {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        for Recipe { image, base, packer } in &self.recipes.images {
            let cache: &dyn BlobSource = &self.recipes.cache;
            let blobs = RecipeBlobs { image, trees: self.trees, cache: Some(cache), base, packer };
            match blobs.copy_to(blob, out) {
                // Another image's; of a blob that an image names, something is written or the error is another one.
                Err(BlobError::Missing(_)) => {}
                outcome => return outcome,
            }
        }
        Err(BlobError::Missing(blob.digest))
    }
}
