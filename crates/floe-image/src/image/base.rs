//! A base is an image that another one is built upon: its layers stay byte for byte, its config is inherited.
//!
//! A foreign image's manifest and config come in, with its blobs; a [`Base`] goes out, which holds what composing looks
//! at and can be remembered. Docker's media types become OCI's, since the manifest that names the layers is a new one.

use serde::{Deserialize, Serialize};

use crate::layer::{BaseRoot, Layer};
use crate::oci::{Config, Descriptor, Digest, History, Manifest, MediaType, Platform, Reference};
use crate::unpack::{Layers, Limits, MergedTree, ReadFilesError, ReadTreeError};
use crate::{BlobSource, image::root};

/// A base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Its layers, bottom first.
    pub layers: Vec<BaseLayer>,
    /// Its config. Invariant: as many diff IDs as layers, and a line of history for each.
    pub config: Config,
    /// What its files are, as far as composing looks at them.
    pub root: BaseRoot,
}

/// A layer that another image brought along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseLayer {
    /// Its blob and its tar.
    pub layer: Layer,
    /// Where the blob can be had.
    pub origin: BlobOrigin,
}

/// Where the blob of a layer can be had that floe cannot pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "reference")]
pub enum BlobOrigin {
    /// A registry: the image there that names the layer, by its digest.
    Registry(Reference),
    /// floe's own store of blobs, since the place that it came from may vanish.
    Kept,
}

/// Why an image cannot be a base.
#[derive(Debug, thiserror::Error)]
pub enum ReadBaseError {
    /// Manifest and config speak of different images.
    #[error("the manifest has {layers} layers and the config {diff_ids} diff IDs: expected as many")]
    Uneven {
        /// Layers of the manifest.
        layers: usize,
        /// Diff IDs of the config.
        diff_ids: usize,
    },
    /// A layer is none that an image may pass on: encrypted, or to be had from elsewhere only.
    #[error("layer {digest} is a {media_type}: expected a tar, plain or in gzip or zstd")]
    UnsupportedLayer {
        /// The layer.
        digest: Digest,
        /// What it is.
        media_type: MediaType,
    },
    /// The layers give no tree.
    #[error("cannot read the base's files")]
    Tree(#[from] ReadTreeError),
    /// The accounts cannot be read.
    #[error("cannot read the base's accounts")]
    Accounts(#[from] ReadFilesError),
}

impl Base {
    /// Reads a base: every layer once, to learn what is in it and that it is what it says, and the one with the
    /// accounts again. Nothing of the contents is kept.
    ///
    /// # Errors
    /// When a layer cannot be read, is malformed or not of a known kind, or the config does not fit the manifest.
    pub fn read(
        manifest: &Manifest,
        config: Config,
        origin: &BlobOrigin,
        blobs: &dyn BlobSource,
    ) -> Result<Self, ReadBaseError> {
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(ReadBaseError::Uneven { layers, diff_ids });
        }
        let layers =
            manifest.layers.iter().zip(&config.rootfs.diff_ids).map(|(descriptor, diff_id)| {
                Ok(Layer { descriptor: passed_on(descriptor)?, diff_id: *diff_id })
            });
        let layers = layers.collect::<Result<Vec<_>, ReadBaseError>>()?;
        let readable = Layers { source: blobs, layers: &layers, limits: Limits::default() };
        let tree = MergedTree::read(&readable)?;
        let root = BaseRoot::read(&readable, &tree, &root::ASKED_OF_A_BASE)?;
        let config = with_whole_history(config);
        let layers = layers.into_iter().map(|layer| BaseLayer { layer, origin: origin.clone() }).collect();
        Ok(Self { layers, config, root })
    }

    /// Whether what is built for `platform` runs on this base.
    pub(super) fn suits(&self, platform: &Platform) -> bool {
        let own = self.config.platform();
        let is_variant =
            own.variant == platform.variant || own.variant.is_none() || platform.variant.is_none();
        own.os == platform.os && own.architecture == platform.architecture && is_variant
    }
}

/// A layer's descriptor as another manifest may name it.
fn passed_on(descriptor: &Descriptor) -> Result<Descriptor, ReadBaseError> {
    let Descriptor { media_type, digest, size, annotations, other, .. } = descriptor;
    let is_elsewhere = other.contains_key("urls");
    match media_type.oci_layer().filter(|_| !is_elsewhere) {
        Some(media_type) => {
            Ok(Descriptor { annotations: annotations.clone(), ..Descriptor::new(media_type, *digest, *size) })
        }
        None => Err(ReadBaseError::UnsupportedLayer { digest: *digest, media_type: media_type.clone() }),
    }
}

/// Engines count the lines of history that stand for layers: where they are not as many, the history says less than
/// nothing, and one line a layer takes its place.
fn with_whole_history(mut config: Config) -> Config {
    let layers = config.rootfs.diff_ids.len();
    if config.history.iter().filter(|line| !line.empty_layer).count() != layers {
        let comment = Some("layer of the base".to_owned());
        config.history = vec![History { comment, ..History::default() }; layers];
    }
    config
}
