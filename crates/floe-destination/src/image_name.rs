//! An image name is what a person calls an image on one machine: `app`, `app:1.0`, `ghcr.io/team/app:1.0`.
//!
//! Engines write the same short name differently; [`ImageName::in_engine`] has each one's words. By trial with podman
//! 4.3, docker 20.10 and containerd 1.6:
//!
//! | loaded through | listed by podman | by docker | by containerd |
//! |---|---|---|---|
//! | `podman:`, `docker:`, `containerd:` | `localhost/app:1.0` | `app:1.0` | `docker.io/library/app:1.0` |
//! | an archive of floe | `docker.io/library/app:1.0` | `app:1.0` | `docker.io/library/app:1.0` |
//! | an archive without a name | no name | no name | not at all |
//!
//! podman's own builds are `localhost/…`, hence the difference; podman and docker find either as `app:1.0`. `ctr` wants
//! the full name. A name with a registry's host is the same everywhere.

use std::fmt;
use std::str::FromStr;

use floe_image::oci::{ParseReferenceError, Reference};
use serde::{Deserialize, Serialize};

use crate::engine::EngineKind;

/// A name with a tag, as the user wrote it; the tag is `latest` when none was written.
///
/// ```
/// use floe_destination::ImageName;
///
/// let name: ImageName = "app".parse()?;
/// assert_eq!(name.to_string(), "app:latest");
/// assert_eq!(name.reference().to_string(), "docker.io/library/app:latest");
/// # Ok::<(), floe_destination::ParseImageNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageName {
    /// Invariant: the name part of a valid reference, as it was written.
    name: String,
    /// Invariant: has a tag and no digest.
    reference: Reference,
}

/// A text that cannot name an image.
#[derive(Debug, thiserror::Error)]
pub enum ParseImageNameError {
    /// The text follows no reference grammar; an engine would refuse it after everything was packed.
    #[error("cannot use '{text}' as an image's name")]
    Malformed {
        /// The text.
        text: String,
        /// What is wrong with it.
        #[source]
        source: ParseReferenceError,
    },
    /// A tag stands where only the name is meant.
    #[error("cannot use '{0}' as a name of several images: expected no tag")]
    Tag(String),
    /// A digest follows from an image's bytes and cannot be given to it.
    #[error("cannot use '{0}' as an image's name: expected a tag, not a digest")]
    Digest(String),
}

impl ImageName {
    /// The name without the tag, as it was written.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name without the tag, to be kept.
    #[must_use]
    pub fn repository(&self) -> RepositoryName {
        RepositoryName(self.name.clone())
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.reference.tag().expect("an image name without a tag means 'latest'")
    }

    /// The full reference: `docker.io/library/app:1.0` for `app:1.0`.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Whether the name begins with a registry's host.
    #[must_use]
    pub fn has_host(&self) -> bool {
        // `localhost/app` is written with its host, `app` and `team/app` are not.
        self.name.split_once('/').is_some_and(|(first, _)| {
            first == self.reference.host() || first == "index.docker.io" || first == "registry-1.docker.io"
        })
    }

    /// The name that the engine lists after floe loaded the image into it, and by which it runs it.
    #[must_use]
    pub fn in_engine(&self, engine: EngineKind) -> String {
        match engine {
            EngineKind::Podman if !self.has_host() => format!("localhost/{self}"),
            EngineKind::Containerd => self.reference.to_string(),
            EngineKind::Podman | EngineKind::Docker => self.to_string(),
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.name, self.tag())
    }
}

impl FromStr for ImageName {
    type Err = ParseImageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let reference: Reference = text
            .parse()
            .map_err(|source| ParseImageNameError::Malformed { text: text.to_owned(), source })?;
        if reference.digest().is_some() {
            return Err(ParseImageNameError::Digest(text.to_owned()));
        }
        let name = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => name,
            _ => text,
        };
        Ok(Self { name: name.to_owned(), reference })
    }
}

impl TryFrom<String> for ImageName {
    type Error = ParseImageNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> Self {
        name.to_string()
    }
}

/// An image's name without a tag, as it was written: `app`, `ghcr.io/team/app`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(String);

impl RepositoryName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with a tag; `None` when the text is no tag.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Option<ImageName> {
        format!("{self}:{tag}").parse().ok()
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for RepositoryName {
    type Err = ParseImageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name: ImageName = text.parse()?;
        if name.name == text { Ok(Self(name.name)) } else { Err(ParseImageNameError::Tag(text.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_each_engine_lists_it() {
        for (text, podman, docker, containerd) in [
            ("app", "localhost/app:latest", "app:latest", "docker.io/library/app:latest"),
            ("team/app:1", "localhost/team/app:1", "team/app:1", "docker.io/team/app:1"),
            ("ghcr.io/t/app:1", "ghcr.io/t/app:1", "ghcr.io/t/app:1", "ghcr.io/t/app:1"),
            ("localhost/app:1", "localhost/app:1", "localhost/app:1", "localhost/app:1"),
            (
                "localhost:5000/app",
                "localhost:5000/app:latest",
                "localhost:5000/app:latest",
                "localhost:5000/app:latest",
            ),
        ] {
            let name: ImageName = text.parse().expect("an image name");
            assert_eq!(name.in_engine(EngineKind::Podman), podman);
            assert_eq!(name.in_engine(EngineKind::Docker), docker);
            assert_eq!(name.in_engine(EngineKind::Containerd), containerd);
            assert_eq!(name.to_string().parse::<ImageName>().expect("its own text"), name);
        }
    }

    #[test]
    fn refuses_what_names_no_image() {
        for text in ["", "App", "app:", "app:a b", "a//b", ":1"] {
            assert!(
                matches!(text.parse::<ImageName>(), Err(ParseImageNameError::Malformed { .. })),
                "{text}"
            );
        }
        assert!(matches!("app:1".parse::<RepositoryName>(), Err(ParseImageNameError::Tag(_))));
        assert_eq!(
            "localhost:5000/app".parse::<RepositoryName>().expect("a name").as_str(),
            "localhost:5000/app"
        );
        let digest = floe_image::oci::Digest::of(b"");
        assert!(matches!(format!("app@{digest}").parse::<ImageName>(), Err(ParseImageNameError::Digest(_))));
    }
}
