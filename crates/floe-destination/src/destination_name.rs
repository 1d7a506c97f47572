//! A destination name is how a user writes where an image goes: `oci:DIR:TAG`, `podman:`, `docker://REF`.
//!
//! The words are those of skopeo and podman. `oci:` and the archives take a path; the last part of `oci:DIR:TAG` behind a
//! colon is a tag when it has no slash, so a directory with a colon in its last part is written `oci:./a:b/`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use floe_image::oci::{ParseReferenceError, Reference};

use crate::archive::{ArchiveDestination, ArchiveFormat};
use crate::destination::{DeliverError, Destination};
use crate::engine::{self, EngineDestination, EngineError, EngineKind};
use crate::image_name::{ImageName, ParseImageNameError};
use crate::oci_layout::OciLayoutDestination;

/// Every form, as error messages list them.
const FORMS: &str = "oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, - (standard output), podman:[NAME], \
                     docker:[NAME], containerd:[NAME], docker://REFERENCE or recorded:[NAME]";

/// Where an image goes, as the user wrote it.
///
/// ```
/// use floe_destination::DestinationName;
///
/// let name: DestinationName = "oci:images/app:1.0".parse()?;
/// assert_eq!(name, DestinationName::OciLayout { directory: "images/app".into(), tag: Some("1.0".to_owned()) });
/// # Ok::<(), floe_destination::ParseDestinationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationName {
    /// `oci:DIR[:TAG]`
    OciLayout {
        /// The layout's directory.
        directory: PathBuf,
        /// The tag, else that of the image's name.
        tag: Option<String>,
    },
    /// `oci-archive:FILE` or `docker-archive:FILE`
    Archive {
        /// The file.
        file: PathBuf,
        /// Which documents it gets.
        format: ArchiveFormat,
    },
    /// `-`, or an archive whose file is `-`
    StandardOutput(ArchiveFormat),
    /// `podman:[NAME]`, `docker:[NAME]` or `containerd:[NAME]`
    Engine {
        /// The engine.
        engine: EngineKind,
        /// The name, else the image's own.
        name: Option<ImageName>,
    },
    /// `docker://REFERENCE`
    Registry(Reference),
    /// `recorded:[NAME]`, with the name, else the image's own
    Record(Option<ImageName>),
}

/// A text that names no destination.
#[derive(Debug, thiserror::Error)]
pub enum ParseDestinationError {
    /// The text begins with no known word; a guess could write to the wrong place.
    #[error("'{0}' is not a destination: expected {FORMS}")]
    Unknown(String),
    /// The path behind the colon is missing.
    #[error("'{0}' names no path: expected {FORMS}")]
    NoPath(String),
    /// The tag of `oci:DIR:TAG` is malformed.
    #[error(
        "'{text}' ends with the tag '{tag}': expected 1 to 128 letters, digits, '_', '.' or '-', or a '/' at the end of a directory with a colon"
    )]
    Tag {
        /// The whole text.
        text: String,
        /// The part behind the last colon.
        tag: String,
    },
    /// The name behind an engine or the record is malformed.
    #[error("'{text}' names no image")]
    Name {
        /// The whole text.
        text: String,
        /// What is wrong.
        #[source]
        source: ParseImageNameError,
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

impl DestinationName {
    /// Whether what reads the image there reads layers in zstd too.
    ///
    /// An archive with docker's documents may be meant for docker before version 23, which does not, so the answer is no
    /// for it and for standard output. docker itself is asked.
    ///
    /// # Errors
    ///
    /// When docker's daemon is asked and does not answer.
    pub fn reads_zstd(&self) -> Result<bool, EngineError> {
        match self {
            Self::OciLayout { .. } | Self::Registry(_) | Self::Record(_) => Ok(true),
            Self::Archive { format, .. } | Self::StandardOutput(format) => Ok(*format == ArchiveFormat::Oci),
            Self::Engine { engine, .. } => engine::reads_zstd(*engine),
        }
    }

    /// Whether the place takes a whole index; else only one image of it can go there.
    #[must_use]
    pub fn takes_index(&self) -> bool {
        match self {
            Self::OciLayout { .. } | Self::Registry(_) | Self::Record(_) => true,
            Self::Archive { format, .. } | Self::StandardOutput(format) => *format == ArchiveFormat::Oci,
            Self::Engine { engine, .. } => *engine == EngineKind::Containerd,
        }
    }

    /// Opens the destination; `None` for a registry, which needs a client, and for the record, in which only the caller
    /// knows what to write.
    ///
    /// `spool` is a directory for blobs of destinations that have no directory of their own: standard output and engines.
    ///
    /// # Errors
    ///
    /// When the place cannot be written.
    pub fn open(&self, spool: &Path) -> Result<Option<Box<dyn Destination>>, DeliverError> {
        Ok(Some(match self {
            Self::OciLayout { directory, tag } => {
                Box::new(OciLayoutDestination::create(directory, tag.as_deref())?)
            }
            Self::Archive { file, format } => Box::new(ArchiveDestination::file(file, *format, spool)?),
            Self::StandardOutput(format) => {
                let out = Box::new(std::io::stdout());
                Box::new(ArchiveDestination::stream(out, "standard output", *format, spool)?)
            }
            Self::Engine { engine, name } => Box::new(EngineDestination::new(*engine, name.clone(), spool)?),
            Self::Registry(_) | Self::Record(_) => return Ok(None),
        }))
    }
}

impl FromStr for DestinationName {
    type Err = ParseDestinationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Self::StandardOutput(ArchiveFormat::Hybrid));
        }
        if let Some(reference) = text.strip_prefix("docker://") {
            return reference
                .parse()
                .map(Self::Registry)
                .map_err(|source| ParseDestinationError::Reference { text: text.to_owned(), source });
        }
        let Some((word, rest)) = text.split_once(':') else {
            return Err(ParseDestinationError::Unknown(text.to_owned()));
        };
        let name = || {
            let name = (!rest.is_empty()).then(|| rest.parse()).transpose();
            name.map_err(|source| ParseDestinationError::Name { text: text.to_owned(), source })
        };
        if let Some(engine) = EngineKind::ALL.into_iter().find(|engine| engine.name() == word) {
            return Ok(Self::Engine { engine, name: name()? });
        }
        match word {
            "recorded" => Ok(Self::Record(name()?)),
            "oci" => parse_layout(text, rest),
            "oci-archive" => parse_archive(text, rest, ArchiveFormat::Oci),
            "docker-archive" => parse_archive(text, rest, ArchiveFormat::Hybrid),
            _ => Err(ParseDestinationError::Unknown(text.to_owned())),
        }
    }
}

fn parse_layout(text: &str, rest: &str) -> Result<DestinationName, ParseDestinationError> {
    let (directory, tag) = match rest.rsplit_once(':') {
        Some((directory, tag)) if !tag.contains('/') => (directory, Some(tag)),
        _ => (rest, None),
    };
    if directory.is_empty() {
        return Err(ParseDestinationError::NoPath(text.to_owned()));
    }
    if let Some(tag) = tag
        && format!("x:{tag}").parse::<ImageName>().is_err()
    {
        return Err(ParseDestinationError::Tag { text: text.to_owned(), tag: tag.to_owned() });
    }
    Ok(DestinationName::OciLayout { directory: directory.into(), tag: tag.map(str::to_owned) })
}

fn parse_archive(
    text: &str,
    file: &str,
    format: ArchiveFormat,
) -> Result<DestinationName, ParseDestinationError> {
    match file {
        "" => Err(ParseDestinationError::NoPath(text.to_owned())),
        "-" => Ok(DestinationName::StandardOutput(format)),
        file => Ok(DestinationName::Archive { file: file.into(), format }),
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OciLayout { directory, tag: None } => write!(formatter, "oci:{}", directory.display()),
            Self::OciLayout { directory, tag: Some(tag) } => {
                write!(formatter, "oci:{}:{tag}", directory.display())
            }
            Self::Archive { file, format } => write!(formatter, "{}:{}", format.word(), file.display()),
            Self::StandardOutput(ArchiveFormat::Hybrid) => formatter.write_str("-"),
            Self::StandardOutput(format) => write!(formatter, "{}:-", format.word()),
            Self::Engine { engine, name: None } => write!(formatter, "{engine}:"),
            Self::Engine { engine, name: Some(name) } => write!(formatter, "{engine}:{name}"),
            Self::Registry(reference) => write!(formatter, "docker://{reference}"),
            Self::Record(None) => formatter.write_str("recorded:"),
            Self::Record(Some(name)) => write!(formatter, "recorded:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(directory: &str, tag: Option<&str>) -> DestinationName {
        DestinationName::OciLayout { directory: directory.into(), tag: tag.map(str::to_owned) }
    }

    #[test]
    fn reads_every_form() {
        let archive = |format| DestinationName::Archive { file: "a:b.tar".into(), format };
        let engine = |engine, name: Option<&str>| DestinationName::Engine {
            engine,
            name: name.map(|name| name.parse().expect("a name")),
        };
        for (text, expected) in [
            ("oci:out", layout("out", None)),
            ("oci:/srv/out:1.0", layout("/srv/out", Some("1.0"))),
            ("oci:./a:b/", layout("./a:b/", None)),
            ("oci:a:b:c", layout("a:b", Some("c"))),
            ("oci-archive:a:b.tar", archive(ArchiveFormat::Oci)),
            ("docker-archive:a:b.tar", archive(ArchiveFormat::Hybrid)),
            ("-", DestinationName::StandardOutput(ArchiveFormat::Hybrid)),
            ("oci-archive:-", DestinationName::StandardOutput(ArchiveFormat::Oci)),
            ("podman:", engine(EngineKind::Podman, None)),
            ("docker:app:1.0", engine(EngineKind::Docker, Some("app:1.0"))),
            ("containerd:ghcr.io/t/app:1", engine(EngineKind::Containerd, Some("ghcr.io/t/app:1"))),
            ("docker://ghcr.io/t/app:1", DestinationName::Registry("ghcr.io/t/app:1".parse().expect("one"))),
            ("recorded:", DestinationName::Record(None)),
            ("recorded:app:1", DestinationName::Record(Some("app:1".parse().expect("a name")))),
        ] {
            let name: DestinationName = text.parse().expect(text);
            assert_eq!(name, expected, "{text}");
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn refuses_other_texts_and_lists_the_forms() {
        for text in ["", "out", "oci", "dir:out", "docker-daemon:app", "oci:", "oci::1", "oci-archive:"] {
            let message = text.parse::<DestinationName>().expect_err(text).to_string();
            assert!(message.contains("oci:DIR[:TAG]") && message.contains("docker://REFERENCE"), "{message}");
        }
        for text in ["oci:out:", "oci:out:a b", "podman:App", "docker://", "docker://a b"] {
            text.parse::<DestinationName>().expect_err(text);
        }
    }
}
