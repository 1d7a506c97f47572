//! Media types say how a blob is to be read (OCI image-spec v1.1, media-types.md).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The media type of a blob or manifest; others than the known ones pass through as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum MediaType {
    /// An OCI image index.
    Index,
    /// An OCI image manifest.
    Manifest,
    /// An OCI image config.
    Config,
    /// A layer, uncompressed tar.
    LayerTar,
    /// A layer, tar in gzip.
    LayerGzip,
    /// A layer, tar in zstd.
    LayerZstd,
    /// Docker's manifest list, schema 2.
    DockerManifestList,
    /// Docker's manifest, schema 2.
    DockerManifest,
    /// Docker's image config.
    DockerConfig,
    /// Docker's layer, tar in gzip.
    DockerLayerGzip,
    /// Any other.
    Other(String),
}

/// Each known media type beside its text.
const KNOWN: [(MediaType, &str); 10] = [
    (MediaType::Index, "application/vnd.oci.image.index.v1+json"),
    (MediaType::Manifest, "application/vnd.oci.image.manifest.v1+json"),
    (MediaType::Config, "application/vnd.oci.image.config.v1+json"),
    (MediaType::LayerTar, "application/vnd.oci.image.layer.v1.tar"),
    (MediaType::LayerGzip, "application/vnd.oci.image.layer.v1.tar+gzip"),
    (MediaType::LayerZstd, "application/vnd.oci.image.layer.v1.tar+zstd"),
    (MediaType::DockerManifestList, "application/vnd.docker.distribution.manifest.list.v2+json"),
    (MediaType::DockerManifest, "application/vnd.docker.distribution.manifest.v2+json"),
    (MediaType::DockerConfig, "application/vnd.docker.container.image.v1+json"),
    (MediaType::DockerLayerGzip, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
];

impl MediaType {
    /// The media type as it is written in manifests and headers.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => KNOWN.iter().find(|(candidate, _)| candidate == known).map_or("", |(_, text)| text),
        }
    }

    /// Whether this is an index of manifests, OCI's or Docker's.
    #[must_use]
    pub fn is_index(&self) -> bool {
        matches!(self, Self::Index | Self::DockerManifestList)
    }

    /// Whether this is an image manifest, OCI's or Docker's.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        matches!(self, Self::Manifest | Self::DockerManifest)
    }

    /// The OCI media type of a layer of this one, whose bytes are read the same way; `None` for what is no layer that
    /// an image of floe's may have.
    #[must_use]
    pub fn oci_layer(&self) -> Option<Self> {
        match self {
            Self::LayerTar | Self::LayerGzip | Self::LayerZstd => Some(self.clone()),
            Self::DockerLayerGzip => Some(Self::LayerGzip),
            Self::Other(text) if text == "application/vnd.docker.image.rootfs.diff.tar" => {
                Some(Self::LayerTar)
            }
            Self::Other(text) if text == "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
                Some(Self::LayerZstd)
            }
            _ => None,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<String> for MediaType {
    fn from(text: String) -> Self {
        match KNOWN.iter().find(|(_, known)| *known == text) {
            Some((known, _)) => known.clone(),
            None => Self::Other(text),
        }
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<MediaType> for String {
    fn from(media_type: MediaType) -> Self {
        media_type.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_known_and_unknown_types() {
        for (known, text) in &KNOWN {
            assert_eq!(MediaType::from(*text), *known);
            assert_eq!(known.as_str(), *text);
        }
        assert_eq!(MediaType::from("text/plain").as_str(), "text/plain");
    }
}
