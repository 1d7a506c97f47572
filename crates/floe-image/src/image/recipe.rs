//! A recipe names every byte of an image without holding the layers: config, digests, and what each
//! layer is packed from. It is what floe records; blobs are made again from the store when asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use floe_store::{StorePath, TreeSource};
use serde::{Deserialize, Serialize};

use super::{BaseLayer, Draft, DraftLayer, MEMO_KEY_ANNOTATION, STORE_PATHS_ANNOTATION};
use crate::layer::{Compression, Layer, LayerContents, MemoKey, Packer};
use crate::oci::{Config, Descriptor, Digest, Manifest, MediaType, canonical_json};
use crate::{BlobError, BlobSource};

/// An image as a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The layers of the image that this one is built upon, bottom first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base: Vec<BaseLayer>,
    /// The layers above them, bottom first.
    pub layers: Vec<ImageLayer>,
    /// The config, whole.
    pub config: Config,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// How layers became blobs.
    pub compression: Compression,
}

/// One layer of an image: what it was packed from, and what came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageLayer {
    /// What the layer holds.
    pub contents: LayerContents,
    /// Its blob and its tar.
    pub layer: Layer,
    /// Why these contents share a layer, for people.
    pub reason: String,
}

impl Image {
    /// The config's bytes; the same image gives the same bytes.
    #[must_use]
    pub fn config_bytes(&self) -> Vec<u8> {
        canonical_json::to_vec(&self.config)
    }

    /// The manifest, whose canonical bytes the image's digest is the digest of.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let base = self.base.iter().map(|base| base.layer.descriptor.clone());
        let own = self.layers.iter().map(|layer| layer.annotated_descriptor(self.compression));
        let config = Descriptor::of(MediaType::Config, &self.config_bytes());
        Manifest::image(config, base.chain(own).collect(), self.annotations.clone())
    }

    /// The image before it was packed, to be assembled again in another way.
    #[must_use]
    pub fn draft(&self) -> Draft {
        let layers = self
            .layers
            .iter()
            .map(|layer| DraftLayer { contents: layer.contents.clone(), reason: layer.reason.clone() });
        let mut config = self.config.clone();
        config.rootfs.diff_ids.truncate(self.base.len());
        config.history.truncate(config.history.len().saturating_sub(self.layers.len()));
        let (base, annotations) = (self.base.clone(), self.annotations.clone());
        Draft { base, layers: layers.collect(), config, annotations }
    }

    /// Every store path that a layer holds, layer by layer.
    pub fn store_paths(&self) -> impl Iterator<Item = &StorePath> {
        self.layers.iter().flat_map(|layer| layer.contents.store_paths()).map(|entry| &entry.path)
    }

    /// The digest of the image's manifest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&canonical_json::to_vec(&self.manifest()))
    }

    /// The bytes that whoever holds some blobs already must fetch to have the image: its manifest, and the config and
    /// layers that are not among them.
    #[must_use]
    pub fn update_size(&self, held: &BTreeSet<Digest>) -> u64 {
        let manifest = self.manifest();
        let blobs = manifest.layers.iter().chain([&manifest.config]);
        let missing: u64 = blobs.filter(|blob| !held.contains(&blob.digest)).map(|blob| blob.size).sum();
        missing + canonical_json::to_vec(&manifest).len() as u64
    }

    /// The sum of all layers' blobs, in bytes.
    #[must_use]
    pub fn compressed_size(&self) -> u64 {
        self.every_layer().map(|layer| layer.descriptor.size).sum()
    }

    /// Every layer, those of the base first.
    pub fn every_layer(&self) -> impl Iterator<Item = &Layer> {
        self.base.iter().map(|base| &base.layer).chain(self.layers.iter().map(|layer| &layer.layer))
    }

    /// How many layers the image has, those of its base among them.
    #[must_use]
    pub fn layer_count(&self) -> usize {
        self.base.len() + self.layers.len()
    }
}

impl ImageLayer {
    /// The layer's descriptor with what a later build wants to know of it.
    fn annotated_descriptor(&self, compression: Compression) -> Descriptor {
        let mut descriptor = self.layer.descriptor.clone();
        let key = MemoKey::of(&self.contents, compression);
        descriptor.annotations.insert(MEMO_KEY_ANNOTATION.to_owned(), key.digest().to_string());
        if let LayerContents::StorePaths { paths, .. } = &self.contents {
            let names: Vec<&str> = paths.iter().map(|entry| entry.path.as_str()).collect();
            descriptor.annotations.insert(STORE_PATHS_ANNOTATION.to_owned(), names.join(" "));
        }
        descriptor
    }
}

/// An image's blobs, taken from a cache where it has them, else packed again from the store; a base's are fetched.
pub struct RecipeBlobs<'a> {
    /// The image.
    pub image: &'a Image,
    /// Where the files of its store paths are.
    pub trees: &'a dyn TreeSource,
    /// Where blobs may lie ready.
    pub cache: Option<&'a dyn BlobSource>,
    /// Where the layers of its base are, which nothing here can make.
    pub base: &'a dyn BlobSource,
    /// Packs the layers again, with the image's compression.
    pub packer: &'a Packer,
}

impl BlobSource for RecipeBlobs<'_> {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let mut out = Counted { out, written: 0 };
        if let Some(cache) = self.cache {
            match cache.copy_to(blob, &mut out) {
                // A cache that lost the blob before a byte was written changes nothing.
                Err(BlobError::Missing(_) | BlobError::WrongBytes { .. }) if out.written == 0 => {}
                outcome => return outcome,
            }
        }
        if self.image.base.iter().any(|base| base.layer.descriptor.digest == blob.digest) {
            return self.base.copy_to(blob, &mut out);
        }
        let layer = self.image.layers.iter().find(|layer| layer.layer.descriptor.digest == blob.digest);
        match layer {
            Some(layer) => self.pack_again(layer, &mut out),
            None => self.config(blob, &mut out),
        }
    }
}

impl RecipeBlobs<'_> {
    fn pack_again(&self, layer: &ImageLayer, out: &mut dyn Write) -> Result<(), BlobError> {
        let expected = layer.layer.descriptor.digest;
        let packed = self.packer.pack(&layer.contents, self.trees, &(), out);
        let packed = packed.map_err(|error| BlobError::Other {
            action: format!("pack layer {expected}"),
            source: error.into(),
        })?;
        if packed.descriptor.digest != expected {
            let found = packed.descriptor.digest;
            return Err(BlobError::WrongBytes { expected, found, size: packed.descriptor.size });
        }
        Ok(())
    }

    fn config(&self, blob: &Descriptor, out: &mut dyn Write) -> Result<(), BlobError> {
        let bytes = self.image.config_bytes();
        if Digest::of(&bytes) != blob.digest {
            return Err(BlobError::Missing(blob.digest));
        }
        let failed = |source| BlobError::Io { action: format!("write blob {}", blob.digest), source };
        out.write_all(&bytes).map_err(failed)
    }
}

/// Counts what passes, so that a source that failed half-way is not followed by another.
struct Counted<'a> {
    out: &'a mut (dyn Write + Send),
    written: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
