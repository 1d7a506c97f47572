//! A recorded image: its recipe, and where the files of its store paths are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use floe_image::image::{BlobOrigin, Image};
use floe_image::layer::LayerContents;
use floe_image::oci::Digest;
use floe_store::tree::LocalTrees;
use floe_store::{Store, StoreConfig, StoreDir, StorePath};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};

/// The form of an entry; a reader accepts no other.
const VERSION: u32 = 1;

/// A recorded image.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Recorded {
    version: u32,
    /// When it was recorded.
    pub(crate) recorded: Timestamp,
    /// The image.
    pub(crate) image: Image,
    /// The store paths that it was asked for.
    pub(crate) roots: Vec<StorePath>,
    /// Plain directories that stand for store paths.
    pub(crate) added: BTreeMap<StorePath, PathBuf>,
    /// The physical root of the store, where that is not `/`.
    pub(crate) store_root: Option<PathBuf>,
    /// The logical store directory.
    pub(crate) store_dir: StoreDir,
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
        }
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
        for (path, location) in &self.added {
            trees.add(path.clone(), location.clone());
        }
        trees
    }

    /// The store paths that Nix must keep for the image.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &StorePath> {
        self.roots.iter().filter(|path| !self.added.contains_key(*path))
    }

    /// The store paths of Nix's that its layers are packed from, with the bytes of their NARs.
    pub(crate) fn store_paths(&self) -> impl Iterator<Item = (&StorePath, u64)> {
        let layers = self.image.layers.iter().filter_map(|layer| match &layer.contents {
            LayerContents::StorePaths { paths, .. } => Some(paths),
            LayerContents::Root(_) | LayerContents::Entries { .. } => None,
        });
        let entries = layers.flatten().filter(|entry| !self.added.contains_key(&entry.path));
        entries.map(|entry| (&entry.path, entry.nar_size))
    }

    /// The layers of its base that floe keeps itself.
    pub(crate) fn kept_layers(&self) -> impl Iterator<Item = Digest> {
        let kept = self.image.base.iter().filter(|base| base.origin == BlobOrigin::Kept);
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
