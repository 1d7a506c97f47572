//! What earlier images say of their layers, so that a machine that packed none of them need not read the store.
//!
//! A manifest carries each layer's memo key in an annotation ([`MEMO_KEY_ANNOTATION`]), and the config the diff IDs:
//! together they are what a memo would know. Whoever wrote the manifest is believed: the layer's bytes are not looked at.

use std::collections::{BTreeMap, BTreeSet};

use floe_store::StorePath;

use super::{FACT_ANNOTATION_PREFIX, Image, ImageLayer, MEMO_KEY_ANNOTATION, STORE_PATHS_ANNOTATION};
use crate::layer::{Knowledge, Layer, MemoKey};
use crate::oci::{Config, Descriptor, Digest, Manifest, MediaType};

/// The layers and facts of images that were made before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviousImages {
    layers: BTreeMap<MemoKey, Layer>,
    facts: BTreeMap<(String, Digest), String>,
    images: Vec<PreviousImage>,
}

/// What whoever has an image holds of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviousImage {
    /// The store paths of its layers that hold some, bottom first.
    pub store_paths: Vec<Vec<StorePath>>,
    /// Its blobs: layers and config.
    pub blobs: BTreeSet<Digest>,
}

impl PreviousImages {
    /// Adds what a manifest and its config say; what is known already stays.
    ///
    /// An image that floe did not make adds nothing, nor does one whose config does not fit its manifest.
    pub fn add(&mut self, manifest: &Manifest, config: &Config) {
        let blobs = manifest.layers.iter().chain([&manifest.config]);
        self.images.push(PreviousImage {
            store_paths: manifest.layers.iter().filter_map(store_paths).collect(),
            blobs: blobs.map(|blob| blob.digest).collect(),
        });
        if manifest.layers.len() != config.rootfs.diff_ids.len() {
            return;
        }
        for (descriptor, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
            let Some(key) = memo_key(descriptor) else { continue };
            let Descriptor { media_type, digest, size, .. } = descriptor;
            let descriptor = Descriptor::new(media_type.clone(), *digest, *size);
            self.layers.entry(key).or_insert(Layer { descriptor, diff_id: *diff_id });
        }
        for (name, value) in &manifest.annotations {
            if let (Some(kind), Some((key, value))) =
                (name.strip_prefix(FACT_ANNOTATION_PREFIX), value.split_once(' '))
                && let Ok(key) = key.parse()
            {
                self.facts.entry((kind.to_owned(), key)).or_insert_with(|| value.to_owned());
            }
        }
    }

    /// Adds the layers of a recipe.
    pub fn add_recipe(&mut self, image: &Image) {
        let paths = |layer: &ImageLayer| -> Vec<StorePath> {
            layer.contents.store_paths().iter().map(|entry| entry.path.clone()).collect()
        };
        let layers = image.every_layer().map(|layer| layer.descriptor.digest);
        self.images.push(PreviousImage {
            store_paths: image.layers.iter().map(paths).filter(|paths| !paths.is_empty()).collect(),
            blobs: layers.chain([Digest::of(&image.config_bytes())]).collect(),
        });
        for layer in &image.layers {
            let key = MemoKey::of(&layer.contents, image.compression);
            self.layers.entry(key).or_insert_with(|| layer.layer.clone());
        }
    }

    /// The images, in the order of adding.
    #[must_use]
    pub fn images(&self) -> &[PreviousImage] {
        &self.images
    }

    /// Whether an image's manifest says anything that could be added, so that its config is worth reading.
    #[must_use]
    pub fn speaks(manifest: &Manifest) -> bool {
        manifest.layers.iter().any(|layer| memo_key(layer).is_some())
    }
}

impl Knowledge for PreviousImages {
    fn layer(&self, key: &MemoKey) -> Option<Layer> {
        self.layers.get(key).cloned()
    }

    fn fact(&self, kind: &str, key: Digest) -> Option<String> {
        self.facts.get(&(kind.to_owned(), key)).cloned()
    }
}

/// The memo key that a layer's descriptor carries. A layer of a kind that floe does not write has none, nor has one that
/// lies elsewhere.
fn memo_key(layer: &Descriptor) -> Option<MemoKey> {
    let is_written =
        matches!(layer.media_type, MediaType::LayerTar | MediaType::LayerGzip | MediaType::LayerZstd);
    if !is_written || layer.other.contains_key("urls") {
        return None;
    }
    layer.annotations.get(MEMO_KEY_ANNOTATION)?.parse().ok().map(MemoKey::from_digest)
}

/// The store paths that a layer's descriptor lists; `None` for a layer of other things, or of another's making.
fn store_paths(layer: &Descriptor) -> Option<Vec<StorePath>> {
    let names = layer.annotations.get(STORE_PATHS_ANNOTATION)?;
    names.split(' ').map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{DiffId, ExecutionConfig, RootFs};

    fn config(diff_ids: &[&str]) -> Config {
        Config {
            created: None,
            author: None,
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            variant: None,
            config: ExecutionConfig::default(),
            rootfs: RootFs::layers(diff_ids.iter().map(|text| DiffId::new(digest(text))).collect()),
            history: Vec::new(),
            other: BTreeMap::new(),
        }
    }

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn layer(media_type: MediaType, annotation: &str) -> Descriptor {
        let annotations = BTreeMap::from([(MEMO_KEY_ANNOTATION.to_owned(), annotation.to_owned())]);
        Descriptor { annotations, ..Descriptor::new(media_type, digest("blob"), 4) }
    }

    fn previous(layers: Vec<Descriptor>, facts: &[(&str, &str)], diff_ids: &[&str]) -> PreviousImages {
        let annotations = facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config_blob = Descriptor::new(MediaType::Config, digest("config"), 2);
        let manifest = Manifest::image(config_blob, layers, annotations.collect());
        let mut previous = PreviousImages::default();
        previous.add(&manifest, &config(diff_ids));
        previous
    }

    #[test]
    fn believes_what_floe_writes_and_nothing_else() {
        let key = digest("key");
        let zstd = layer(MediaType::LayerZstd, &key.to_string());
        let elsewhere = Descriptor {
            other: BTreeMap::from([("urls".to_owned(), serde_json::json!(["https://example.com"]))]),
            ..zstd.clone()
        };
        let foreign = MediaType::Other("application/vnd.docker.image.rootfs.diff.tar.gzip".to_owned());
        for (what, layers, diff_ids, expected) in [
            ("its own", vec![zstd.clone()], vec!["tar"], true),
            ("no diff ID", vec![zstd.clone()], vec![], false),
            ("another count", vec![zstd.clone(), zstd.clone()], vec!["tar"], false),
            ("elsewhere", vec![elsewhere], vec!["tar"], false),
            ("foreign", vec![layer(foreign, &key.to_string())], vec!["tar"], false),
            ("no digest", vec![layer(MediaType::LayerZstd, "key")], vec!["tar"], false),
        ] {
            let known = previous(layers, &[], &diff_ids).layer(&MemoKey::from_digest(key));
            let layer = Layer {
                descriptor: Descriptor::new(MediaType::LayerZstd, digest("blob"), 4),
                diff_id: DiffId::new(digest("tar")),
            };
            assert_eq!(known, expected.then_some(layer), "{what}");
        }
    }

    #[test]
    fn facts_come_back_by_their_key() {
        let key = digest("closure");
        let name = format!("{FACT_ANNOTATION_PREFIX}system");
        for (value, expected) in [
            (format!("{key} x86_64-linux"), Some("x86_64-linux")),
            (format!("{} x86_64-linux", digest("other")), None),
            (key.to_string(), None),
            (" x86_64-linux".to_owned(), None),
        ] {
            let known = previous(Vec::new(), &[(name.as_str(), value.as_str())], &[]);
            assert_eq!(known.fact("system", key).as_deref(), expected, "{value}");
            assert_eq!(known.fact("other", key), None);
        }
    }
}
