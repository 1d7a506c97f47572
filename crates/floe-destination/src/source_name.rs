//! A source name is how a user writes where an image comes from: `docker://REF`, `oci:DIR:TAG`, `podman:NAME`, or the
//! plain name of a recorded image.
//!
//! The words are those of [`DestinationName`](crate::DestinationName), skopeo and podman. In an archive's name the file
//! ends at the first colon, so that a whole image name may follow: `docker-archive:FILE:ghcr.io/team/app:1.0`. A recorded
//! image that is called like one of the words is written `recorded:oci:1.0`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use floe_image::oci::{ParseReferenceError, Reference};

use crate::archive::{Archive, ArchiveFormat};
use crate::engine::{self, EngineKind};
use crate::image_name::{ImageName, ParseImageNameError};
use crate::oci_layout::{OciLayout, full_name};
use crate::record::{ParseRecordedNameError, RecordedName};
use crate::registry::ManifestName;
use crate::source::{Found, ImageSource, OpenSourceError};

/// Every form, as error messages list them.
const FORMS: &str = "the name of a recorded image, docker://REFERENCE, oci:DIR[:TAG|@DIGEST], oci-archive:FILE[:NAME], \
                     docker-archive:FILE[:NAME], podman:NAME, docker:NAME or containerd:NAME";

/// Where an image comes from, as the user wrote it.
///
/// ```
/// use floe_destination::SourceName;
///
/// let name: SourceName = "docker-archive:images/app.tar:app:1.0".parse()?;
/// let SourceName::Archive { file, name, .. } = name else { unreachable!() };
/// assert_eq!((file.to_str(), name.as_deref()), (Some("images/app.tar"), Some("app:1.0")));
/// # Ok::<(), floe_destination::ParseSourceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceName {
    /// `docker://REFERENCE`
    Registry(Reference),
    /// `oci:DIR[:TAG|@DIGEST]`
    OciLayout {
        /// The layout's directory.
        directory: PathBuf,
        /// The entry, else the only one.
        entry: Option<ManifestName>,
    },
    /// `oci-archive:FILE[:NAME]` or `docker-archive:FILE[:NAME]`; either word reads both kinds.
    Archive {
        /// The file; `-` is standard input.
        file: PathBuf,
        /// The word that was written.
        format: ArchiveFormat,
        /// A tag, an image's name or a digest, else the only image.
        name: Option<String>,
    },
    /// `podman:NAME`, `docker:NAME` or `containerd:NAME`
    Engine {
        /// The engine.
        engine: EngineKind,
        /// The image's name.
        name: ImageName,
    },
    /// `NAME[:TAG]`, `NAME@GENERATION`, or either behind `recorded:`
    Recorded(RecordedName),
}

/// A text that names no source.
#[derive(Debug, thiserror::Error)]
pub enum ParseSourceError {
    /// The text is neither an image's name nor begins with a known word.
    #[error("'{text}' is no image source: expected {FORMS}")]
    Unknown {
        /// The whole text.
        text: String,
        /// Why it is no recorded image's name either.
        #[source]
        source: ParseRecordedNameError,
    },
    /// What has to stand behind the colon is missing.
    #[error("'{0}' ends too early: expected {FORMS}")]
    Incomplete(String),
    /// The name behind an engine is malformed.
    #[error("'{text}' names no image")]
    Name {
        /// The whole text.
        text: String,
        /// What is wrong.
        #[source]
        source: ParseImageNameError,
    },
    /// The name behind `recorded:` is malformed.
    #[error("'{text}' names no recorded image")]
    Recorded {
        /// The whole text.
        text: String,
        /// What is wrong.
        #[source]
        source: ParseRecordedNameError,
    },
    /// The reference behind `docker://` is malformed.
    #[error("'{text}' names no image in a registry")]
    Reference {
        /// The whole text.
        text: String,
        /// What is wrong.
        #[source]
        source: ParseReferenceError,
    },
}

impl SourceName {
    /// Opens the source; `None` for a registry, which needs a client, and for a recorded image, of which only the caller
    /// knows what it is made from.
    ///
    /// An engine saves its image into a file in `spool`, which has no name any more when this returns.
    ///
    /// # Errors
    ///
    /// When the place cannot be read, or has no such image.
    pub fn open(&self, spool: &Path) -> Result<Option<Box<dyn ImageSource>>, OpenSourceError> {
        let unresolved = |source| OpenSourceError::Resolve { place: self.to_string(), source };
        Ok(Some(match self {
            Self::Registry(_) | Self::Recorded(_) => return Ok(None),
            Self::OciLayout { directory, entry } => {
                let place = OciLayout::open(directory)?;
                let entry = entry.as_ref().map(ToString::to_string);
                let root = place.resolve(entry.as_deref()).map_err(unresolved)?;
                Box::new(Found { name: full_name(&root), root, place })
            }
            Self::Archive { file, name, .. } => {
                let file = if file.as_os_str() == "-" { Path::new("/dev/stdin") } else { file };
                let place = Archive::open(file, spool)?;
                let root = place.resolve(name.as_deref()).map_err(unresolved)?;
                Box::new(Found { name: full_name(&root), root, place })
            }
            Self::Engine { engine, name } => {
                let place = engine::save(*engine, name, spool)?;
                let root = place.resolve(None).map_err(unresolved)?;
                Box::new(Found { name: Some(name.clone()), root, place })
            }
        }))
    }
}

impl FromStr for SourceName {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(reference) = text.strip_prefix("docker://") {
            let parsed = reference.parse().map(Self::Registry);
            return parsed.map_err(|source| ParseSourceError::Reference { text: text.to_owned(), source });
        }
        let plain = || {
            let parsed = text.parse().map(Self::Recorded);
            parsed.map_err(|source| ParseSourceError::Unknown { text: text.to_owned(), source })
        };
        let Some((word, rest)) = text.split_once(':') else { return plain() };
        let name = || {
            if rest.is_empty() {
                return Err(ParseSourceError::Incomplete(text.to_owned()));
            }
            rest.parse().map_err(|source| ParseSourceError::Name { text: text.to_owned(), source })
        };
        if let Some(engine) = EngineKind::ALL.into_iter().find(|engine| engine.name() == word) {
            return Ok(Self::Engine { engine, name: name()? });
        }
        match word {
            "recorded" => {
                let parsed = rest.parse().map(Self::Recorded);
                parsed.map_err(|source| ParseSourceError::Recorded { text: text.to_owned(), source })
            }
            "oci" => parse_layout(text, rest),
            "oci-archive" => parse_archive(text, rest, ArchiveFormat::Oci),
            "docker-archive" => parse_archive(text, rest, ArchiveFormat::Hybrid),
            _ => plain(),
        }
    }
}

fn parse_layout(text: &str, rest: &str) -> Result<SourceName, ParseSourceError> {
    let digest =
        rest.rsplit_once('@').and_then(|(directory, digest)| Some((directory, digest.parse().ok()?)));
    let (directory, entry) = match (digest, rest.rsplit_once(':')) {
        (Some((directory, digest)), _) => (directory, Some(ManifestName::Digest(digest))),
        (None, Some((directory, tag))) if !tag.is_empty() && !tag.contains('/') => {
            (directory, Some(ManifestName::Tag(tag.to_owned())))
        }
        _ => (rest, None),
    };
    if directory.is_empty() {
        return Err(ParseSourceError::Incomplete(text.to_owned()));
    }
    Ok(SourceName::OciLayout { directory: directory.into(), entry })
}

fn parse_archive(text: &str, rest: &str, format: ArchiveFormat) -> Result<SourceName, ParseSourceError> {
    let (file, name) = match rest.split_once(':') {
        Some((file, name)) => (file, Some(name)),
        None => (rest, None),
    };
    if file.is_empty() || name == Some("") {
        return Err(ParseSourceError::Incomplete(text.to_owned()));
    }
    Ok(SourceName::Archive { file: file.into(), format, name: name.map(str::to_owned) })
}

impl fmt::Display for SourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => write!(formatter, "docker://{reference}"),
            Self::OciLayout { directory, entry } => {
                write!(formatter, "oci:{}", directory.display())?;
                match entry {
                    None => Ok(()),
                    Some(ManifestName::Tag(tag)) => write!(formatter, ":{tag}"),
                    Some(ManifestName::Digest(digest)) => write!(formatter, "@{digest}"),
                }
            }
            Self::Archive { file, format, name } => {
                let colon = if name.is_some() { ":" } else { "" };
                let name = name.as_deref().unwrap_or_default();
                write!(formatter, "{}:{}{colon}{name}", format.word(), file.display())
            }
            Self::Engine { engine, name } => write!(formatter, "{engine}:{name}"),
            Self::Recorded(name) => write!(formatter, "recorded:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use floe_image::oci::Digest;

    use super::*;

    #[test]
    fn reads_every_form() {
        let layout = |directory: &str, entry| SourceName::OciLayout { directory: directory.into(), entry };
        let archive = |format, name: Option<&str>| SourceName::Archive {
            file: "a.tar".into(),
            format,
            name: name.map(str::to_owned),
        };
        let engine = |engine, name: &str| SourceName::Engine { engine, name: name.parse().expect(name) };
        let recorded = |name: &str| SourceName::Recorded(name.parse().expect(name));
        let digest = Digest::of(b"");
        let by_digest = format!("oci:out@{digest}");
        for (text, expected) in [
            ("docker://ghcr.io/t/app:1", SourceName::Registry("ghcr.io/t/app:1".parse().expect("one"))),
            ("oci:out", layout("out", None)),
            ("oci:/srv/out:1.0", layout("/srv/out", Some(ManifestName::Tag("1.0".to_owned())))),
            ("oci:./a:b/", layout("./a:b/", None)),
            (&by_digest, layout("out", Some(ManifestName::Digest(digest)))),
            ("oci-archive:a.tar", archive(ArchiveFormat::Oci, None)),
            ("oci-archive:a.tar:1.0", archive(ArchiveFormat::Oci, Some("1.0"))),
            ("docker-archive:a.tar:ghcr.io/t/app:1", archive(ArchiveFormat::Hybrid, Some("ghcr.io/t/app:1"))),
            ("podman:localhost/app:1", engine(EngineKind::Podman, "localhost/app:1")),
            ("docker:app:1.0", engine(EngineKind::Docker, "app:1.0")),
            ("containerd:ghcr.io/t/app:1", engine(EngineKind::Containerd, "ghcr.io/t/app:1")),
            ("recorded:oci:1", recorded("oci:1")),
        ] {
            let name: SourceName = text.parse().expect(text);
            assert_eq!(name, expected, "{text}");
            assert_eq!(name.to_string(), text);
        }
        for plain in ["app", "app:1.0", "team/app", "localhost:5000/app:1", "oci", "app@3"] {
            assert_eq!(plain.parse::<SourceName>().expect(plain), recorded(plain));
        }
    }

    #[test]
    fn refuses_other_texts_and_lists_the_forms() {
        for text in
            ["", "./app.tar", "oci:", "oci::1", "oci-archive:", "docker-archive:a.tar:", "podman:", "App"]
        {
            let message = text.parse::<SourceName>().expect_err(text).to_string();
            assert!(message.contains("docker://REFERENCE") && message.contains("podman:NAME"), "{message}");
        }
        for text in ["podman:App", "docker://", "docker://a b", "recorded:./app"] {
            text.parse::<SourceName>().expect_err(text);
        }
    }
}
