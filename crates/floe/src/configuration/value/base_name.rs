//! The image that another one is built upon, as a person writes it.

use std::path::Path;
use std::str::FromStr;

use floe_destination::SourceName;

use super::BadValue;

/// A base's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseName {
    /// As it was written, which `floe.lock` calls it by.
    pub(crate) written: String,
    /// Where it is.
    pub(crate) source: SourceName,
}

impl BaseName {
    /// The same base with a relative path made relative to `directory`.
    pub(crate) fn within(self, directory: &Path) -> Self {
        let source = match self.source {
            SourceName::OciLayout { directory: layout, entry } => {
                SourceName::OciLayout { directory: directory.join(layout), entry }
            }
            SourceName::Archive { file, format, name } => {
                SourceName::Archive { file: directory.join(file), format, name }
            }
            elsewhere => elsewhere,
        };
        Self { source, ..self }
    }
}

impl FromStr for BaseName {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "docker://NAME, oci:DIR, oci-archive:FILE, docker-archive:FILE, podman:NAME, docker:NAME, \
                        containerd:NAME, or the name of a recorded image";
        let source = text.parse().map_err(|_| {
            BadValue::new(text, "an image to build upon", expected)
                .hint("such as \"docker://docker.io/library/debian:12\"")
        })?;
        Ok(Self { written: text.to_owned(), source })
    }
}
