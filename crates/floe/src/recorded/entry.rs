//! A recorded image: its recipe, and where the files of its store paths are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use floe_image::image::{BlobOrigin, Image};
use floe_image::layer::LayerContents;
use floe_image::oci::Digest;
use floe_store::tree::LocalTrees;
use floe_store::{Store, StoreConfig, StoreDir, StorePath};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::arguments::this_machine;
use crate::failure::{Failure, Outcome};
use crate::recorded::recipes;

/// The form of an entry; a reader accepts no other.
const VERSION: u32 = 1;

/// A recorded image.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Recorded {
    version: u32,
    /// When it was recorded.
    pub(crate) recorded: Timestamp,
    /// The image; of several the first.
    pub(crate) image: Image,
    /// The store paths that it was asked for.
    pub(crate) roots: Vec<StorePath>,
    /// Plain directories that stand for store paths.
    pub(crate) added: BTreeMap<StorePath, PathBuf>,
    /// The physical root of the store, where that is not `/`.
    pub(crate) store_root: Option<PathBuf>,
    /// The logical store directory.
    pub(crate) store_dir: StoreDir,
    /// The images for other platforms, behind the first in the index that joins them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) others: Vec<OtherPlatform>,
}

/// The image for one more platform.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct OtherPlatform {
    /// The image.
    pub(crate) image: Image,
    /// The store paths that it was asked for.
    pub(crate) roots: Vec<StorePath>,
    /// Plain directories that stand for store paths.
    pub(crate) added: BTreeMap<StorePath, PathBuf>,
}

impl Recorded {
    /// An entry for an image that was just made.
    pub(crate) fn new(
        image: Image,
        roots: Vec<StorePath>,
        added: BTreeMap<StorePath, PathBuf>,
        store: &Store,
    ) -> Self {
        Self {
            version: VERSION,
            recorded: Timestamp::now(),
            image,
            roots,
            added,
            store_root: store.root().map(PathBuf::from),
            store_dir: store.store_dir().clone(),
            others: Vec::new(),
        }
    }

    /// The same entry with images for other platforms.
    pub(crate) fn with(self, others: Vec<OtherPlatform>) -> Self {
        Self { others, ..self }
    }

    /// An entry for an image that a Nix build made: the build has no clock, and gives the image's own time.
    pub(crate) fn of_derivation(image: Image, roots: Vec<StorePath>, store: &Store) -> Self {
        let created = image.config.created.as_deref().and_then(|created| created.parse().ok());
        let recorded = created.unwrap_or(Timestamp::UNIX_EPOCH);
        Self { recorded, ..Self::new(image, roots, BTreeMap::new(), store) }
    }

    /// The store that the image was made from.
    pub(crate) fn store(&self) -> Store {
        Store::new(StoreConfig { root: self.store_root.clone(), store_dir: self.store_dir.clone() })
    }

    /// Where the files of its store paths are.
    pub(crate) fn trees(&self) -> LocalTrees {
        let mut trees = self.store().trees();
        for (path, location) in self.parts().flat_map(|(.., added)| added) {
            trees.add(path.clone(), location.clone());
        }
        trees
    }

    /// Each image with its roots and plain directories, in the index's order.
    fn parts(&self) -> impl Iterator<Item = (&Image, &[StorePath], &BTreeMap<StorePath, PathBuf>)> {
        let others = self.others.iter().map(|other| (&other.image, other.roots.as_slice(), &other.added));
        [(&self.image, self.roots.as_slice(), &self.added)].into_iter().chain(others)
    }

    /// The images for all platforms, in the index's order.
    pub(crate) fn images(&self) -> impl Iterator<Item = &Image> {
        self.parts().map(|(image, ..)| image)
    }

    /// The image that runs on this machine, else the first.
    pub(crate) fn image_here(&self) -> &Image {
        let here = this_machine();
        self.images().find(|image| image.config.platform() == here).unwrap_or(&self.image)
    }

    /// The images of a later entry with those of this one for the same platforms; those that run on this machine where
    /// they have no platform in common.
    pub(crate) fn beside<'a>(&'a self, later: &'a Self) -> Vec<(&'a Image, &'a Image)> {
        let pair = |after: &'a Image| {
            let same = |before: &&Image| before.config.platform() == after.config.platform();
            self.images().find(same).map(|before| (before, after))
        };
        let pairs: Vec<_> = later.images().filter_map(pair).collect();
        if pairs.is_empty() { vec![(self.image_here(), later.image_here())] } else { pairs }
    }

    /// The digest of the image, or of the index that joins several.
    pub(crate) fn digest(&self) -> Outcome<Digest> {
        Ok(recipes::manifests(self.images())?.top().descriptor.digest)
    }

    /// The sum of the layers' blobs of all images, in bytes; one that images share counts once.
    pub(crate) fn compressed_size(&self) -> u64 {
        let layers = self.images().flat_map(|image| image.manifest().layers);
        let sizes: BTreeMap<Digest, u64> = layers.map(|layer| (layer.digest, layer.size)).collect();
        sizes.values().sum()
    }

    /// The store paths that Nix must keep for the images, each once.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &StorePath> {
        let roots =
            self.parts().flat_map(|(_, roots, added)| roots.iter().filter(|path| !added.contains_key(*path)));
        roots.collect::<BTreeSet<_>>().into_iter()
    }

    /// The store paths of Nix's that its layers are packed from, with the bytes of their NARs; shared ones several times.
    pub(crate) fn store_paths(&self) -> impl Iterator<Item = (&StorePath, u64)> {
        self.parts().flat_map(|(image, _, added)| {
            let layers = image.layers.iter().filter_map(|layer| match &layer.contents {
                LayerContents::StorePaths { paths, .. } => Some(paths),
                LayerContents::Root(_) | LayerContents::Entries { .. } => None,
            });
            let entries = layers.flatten().filter(|entry| !added.contains_key(&entry.path));
            entries.map(|entry| (&entry.path, entry.nar_size))
        })
    }

    /// The layers of bases that floe keeps itself.
    pub(crate) fn kept_layers(&self) -> impl Iterator<Item = Digest> {
        let bases = self.images().flat_map(|image| &image.base);
        let kept = bases.filter(|base| base.origin == BlobOrigin::Kept);
        kept.map(|base| base.layer.descriptor.digest)
    }

    /// Refuses an entry that another version of floe wrote.
    pub(super) fn check_version(&self, name: &str) -> Outcome {
        if self.version == VERSION {
            return Ok(());
        }
        let message = format!("the record of {name} has version {}: expected {VERSION}", self.version);
        Err(Failure::failed(message).hint("build the image again"))
    }
}
