//! An index names manifests, one for each platform (OCI image-spec v1.1, image-index.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Descriptor, MediaType, Platform};

/// An image index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// What this document is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The manifests, in order of preference.
    pub manifests: Vec<Descriptor>,
    /// Annotations, sorted by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Index {
    /// An OCI index of these manifests.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::Index),
            manifests,
            annotations: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }
    /// The entry that runs on a platform: the first with its variant, else the first of which one has no variant.
    ///
    /// An entry that names no platform is taken when it is the only one, or an index that may name it further down.
    #[must_use]
    pub fn choose(&self, platform: &Platform) -> Option<&Descriptor> {
        let runs = |entry: &&Descriptor| match &entry.platform {
            None => entry.media_type.is_index() || self.manifests.len() == 1,
            Some(offered) => {
                offered.os == platform.os
                    && offered.architecture == platform.architecture
                    && (offered.variant == platform.variant
                        || offered.variant.is_none()
                        || platform.variant.is_none())
            }
        };
        let is_exact = |entry: &&Descriptor| {
            runs(entry) && entry.platform.as_ref().is_some_and(|offered| offered.variant == platform.variant)
        };
        self.manifests.iter().find(is_exact).or_else(|| self.manifests.iter().find(runs))
    }

    /// The platforms that there are images for, in the index's order.
    ///
    /// Attestations and the like, which stand beside images as `unknown/unknown`, are left out.
    #[must_use]
    pub fn platforms(&self) -> Vec<&Platform> {
        let named = self.manifests.iter().filter_map(|entry| entry.platform.as_ref());
        named.filter(|platform| platform.os != "unknown").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    fn index(platforms: &[&str]) -> Index {
        let entry = |(number, platform): (usize, &&str)| Descriptor {
            platform: platform.parse().ok(),
            ..Descriptor::new(MediaType::Manifest, Digest::of(b""), number as u64)
        };
        Index::new(platforms.iter().enumerate().map(entry).collect())
    }

    #[test]
    fn chooses_by_platform() {
        for (offered, wanted, expected) in [
            (&["linux/amd64", "linux/arm64"][..], "linux/arm64", Some(1)),
            (&["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7", Some(1)),
            (&["linux/arm64/v8"], "linux/arm64", Some(0)),
            (&["linux/arm64"], "linux/arm64/v8", Some(0)),
            (&["linux/arm64/v8", "linux/arm64"], "linux/arm64", Some(1)),
            (&["linux/amd64"], "linux/arm64", None),
            (&["none"], "linux/arm64", Some(0)),
            (&["none", "none"], "linux/arm64", None),
            (&["unknown/unknown", "linux/amd64"], "linux/amd64", Some(1)),
        ] {
            let index = index(offered);
            let found = index.choose(&wanted.parse().expect("a platform")).map(|entry| entry.size);
            assert_eq!(found, expected, "{offered:?} {wanted}");
        }
        let named = index(&["linux/amd64", "unknown/unknown", "linux/arm/v7"]);
        let platforms: Vec<String> = named.platforms().into_iter().map(ToString::to_string).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm/v7"]);
    }
}
