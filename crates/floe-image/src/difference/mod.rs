//! The difference between two images, read from their recipes alone: what a person would call it.
//!
//! Two [`Image`]s come in; [`between`] says which packages came, went or changed, which settings and files did, and
//! which layers somebody who has the first must fetch for the second. No store is read, no layer opened.

mod packages;
mod settings;

pub use packages::{PackageChange, PackageVersions};
pub use settings::SettingChange;

use serde::Serialize;

use crate::image::Image;
use crate::oci::{Descriptor, Digest};

/// What differs between two images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// Packages, sorted by name; those that are the same to the byte do not appear.
    pub packages: Vec<PackageChange>,
    /// How a container is started, and the files outside the store, sorted by name.
    pub settings: Vec<SettingChange>,
    /// What each image takes.
    pub before: Totals,
    /// What each image takes.
    pub after: Totals,
    /// The layers of the second image that the first does not have, in the image's order, each once.
    pub fetched: Vec<Descriptor>,
}

/// An image in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Totals {
    /// The digest of its manifest.
    pub digest: Digest,
    /// Its layers, those of its base among them.
    pub layers: usize,
    /// The sum of the layers' blobs, in bytes.
    pub compressed_size: u64,
    /// The sum of its store paths' NARs, in bytes.
    pub nar_size: u64,
}

impl Difference {
    /// The bytes that somebody who has the first image fetches for the second, config and manifest not counted.
    #[must_use]
    pub fn fetched_size(&self) -> u64 {
        self.fetched.iter().map(|layer| layer.size).sum()
    }

    /// Whether both are the same image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before.digest == self.after.digest
    }
}

/// Compares two images.
#[must_use]
pub fn between(before: &Image, after: &Image) -> Difference {
    let mut fetched: Vec<Descriptor> = Vec::new();
    for layer in after.every_layer() {
        let is_new = |descriptor: &Descriptor| descriptor.digest != layer.descriptor.digest;
        if before.every_layer().map(|layer| &layer.descriptor).chain(&fetched).all(is_new) {
            fetched.push(layer.descriptor.clone());
        }
    }
    Difference {
        packages: packages::changes(before, after),
        settings: settings::changes(before, after),
        before: totals(before),
        after: totals(after),
        fetched,
    }
}

fn totals(image: &Image) -> Totals {
    Totals {
        digest: image.digest(),
        layers: image.layer_count(),
        compressed_size: image.compressed_size(),
        nar_size: image.layers.iter().map(|layer| layer.contents.nar_size()).sum(),
    }
}

#[cfg(test)]
mod tests;
