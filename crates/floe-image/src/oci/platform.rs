//! A platform is what an image runs on (OCI image-spec v1.1, image-index.md, `platform`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Operating system and processor, in Go's words (`linux`, `amd64`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor: `amd64`, `arm64`, …
    pub architecture: String,
    /// The operating system: `linux`.
    pub os: String,
    /// The processor's variant: `v8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// A text that is no platform.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is not a platform: expected os/architecture such as linux/amd64, or a system such as x86_64-linux"
)]
pub struct ParsePlatformError(String);

/// Nix's processor names beside the architecture and variant that OCI gives them.
const SYSTEMS: [(&str, &str, Option<&str>); 8] = [
    ("x86_64", "amd64", None),
    ("aarch64", "arm64", None),
    ("armv7l", "arm", Some("v7")),
    ("armv6l", "arm", Some("v6")),
    ("i686", "386", None),
    ("riscv64", "riscv64", None),
    ("powerpc64le", "ppc64le", None),
    ("s390x", "s390x", None),
];

impl Platform {
    /// A platform without a variant.
    #[must_use]
    pub fn new(os: &str, architecture: &str) -> Self {
        Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
            other: BTreeMap::new(),
        }
    }

    /// The platform of a Nix system such as `aarch64-linux`, or `None` for an unknown one.
    #[must_use]
    pub fn from_system(system: &str) -> Option<Self> {
        let (processor, os) = system.split_once('-')?;
        let (_, architecture, variant) = SYSTEMS.iter().find(|(known, ..)| *known == processor)?;
        (os == "linux").then(|| Self { variant: variant.map(str::to_owned), ..Self::new(os, architecture) })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(formatter, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    /// Reads `linux/arm64`, `linux/arm/v7`, or a Nix system.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        let well_formed = parts.iter().all(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        });
        match parts.as_slice() {
            [os, architecture] if well_formed => Ok(Self::new(os, architecture)),
            [os, architecture, variant] if well_formed => {
                Ok(Self { variant: Some((*variant).to_owned()), ..Self::new(os, architecture) })
            }
            _ => Self::from_system(text).ok_or_else(|| ParsePlatformError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_platforms_and_systems() {
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("x86_64-linux", "linux/amd64"),
            ("armv7l-linux", "linux/arm/v7"),
        ] {
            let platform: Platform = text.parse().expect("a platform");
            assert_eq!(platform.to_string(), expected, "{text}");
        }
        for text in ["", "linux", "linux/", "a/b/c/d", "x86_64-darwin", "linux/a b"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
