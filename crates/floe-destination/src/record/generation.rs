//! What a recorded image is called: by a tag (`app`, `app:1.0`), or by the number of its generation (`app@3`).

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ImageName, ParseImageNameError, RepositoryName};

/// The number of one of a name's generations; the first is 1, and no number is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(NonZeroU32);

impl Generation {
    /// The first generation.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The number that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a person calls a recorded image.
///
/// ```
/// use floe_destination::RecordedName;
///
/// let name: RecordedName = "team/app@3".parse()?;
/// assert_eq!(name.to_string(), "team/app@3");
/// assert_eq!(name.image_name().to_string(), "team/app:generation-3");
/// # Ok::<(), floe_destination::ParseRecordedNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordedName {
    /// Whichever generation the tag names now.
    Tag(ImageName),
    /// One generation, for good.
    Generation(RepositoryName, Generation),
}

/// A text that cannot name a recorded image.
#[derive(Debug, thiserror::Error)]
pub enum ParseRecordedNameError {
    /// What stands before the `@`, or the whole text, is no image name.
    #[error(transparent)]
    Name(#[from] ParseImageNameError),
    /// What stands behind the `@` counts nothing.
    #[error("'{text}' names no generation: expected NAME@NUMBER, such as app@3")]
    Number {
        /// The text.
        text: String,
    },
    /// A generation belongs to the name; the tag beside it would be ignored.
    #[error("'{text}' has a tag and a generation: expected one of them, such as app:1.0 or app@3")]
    Both {
        /// The text.
        text: String,
    },
}

impl RecordedName {
    /// The name without tag or number.
    #[must_use]
    pub fn repository(&self) -> RepositoryName {
        match self {
            Self::Tag(name) => name.repository(),
            Self::Generation(repository, _) => repository.clone(),
        }
    }

    /// The name under which the image goes elsewhere: that of the tag, or `app:generation-3`, which is no tag that
    /// anything else has.
    #[must_use]
    pub fn image_name(&self) -> ImageName {
        match self {
            Self::Tag(name) => name.clone(),
            Self::Generation(repository, number) => {
                let tag = format!("generation-{number}");
                repository.tagged(&tag).expect("a word and a number are a tag")
            }
        }
    }
}

impl fmt::Display for RecordedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(name) => name.fmt(formatter),
            Self::Generation(repository, number) => write!(formatter, "{repository}@{number}"),
        }
    }
}

impl FromStr for RecordedName {
    type Err = ParseRecordedNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, number) = match text.rsplit_once('@') {
            // `app@sha256:…` is a digest, which an image name refuses in its own words.
            Some((name, number)) if !number.contains(':') => (name, number),
            _ => return Ok(Self::Tag(text.parse()?)),
        };
        let image: ImageName = name.parse()?;
        if image.name() != name {
            return Err(ParseRecordedNameError::Both { text: text.to_owned() });
        }
        let malformed = || ParseRecordedNameError::Number { text: text.to_owned() };
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = is_number.then(|| number.parse().ok()).flatten().ok_or_else(malformed)?;
        Ok(Self::Generation(image.repository(), Generation(number)))
    }
}

#[cfg(test)]
impl From<u32> for Generation {
    fn from(number: u32) -> Self {
        Self(NonZeroU32::new(number).expect("generations are counted from 1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tags_and_generations() {
        for (text, written, elsewhere) in [
            ("app", "app:latest", "app:latest"),
            ("app:1.0", "app:1.0", "app:1.0"),
            ("app@3", "app@3", "app:generation-3"),
            ("localhost:5000/app@12", "localhost:5000/app@12", "localhost:5000/app:generation-12"),
        ] {
            let name: RecordedName = text.parse().expect("a name");
            assert_eq!(
                (name.to_string().as_str(), name.image_name().to_string().as_str()),
                (written, elsewhere)
            );
        }
    }

    #[test]
    fn refuses_what_names_no_generation() {
        for text in ["app@", "app@0", "app@-1", "app@+1", "app@x", "app@4294967296"] {
            assert!(
                matches!(text.parse::<RecordedName>(), Err(ParseRecordedNameError::Number { .. })),
                "{text}"
            );
        }
        assert!(matches!("app:1@2".parse::<RecordedName>(), Err(ParseRecordedNameError::Both { .. })));
        let digest = format!("app@{}", floe_image::oci::Digest::of(b""));
        for text in ["@1", "App@1", &digest] {
            assert!(matches!(text.parse::<RecordedName>(), Err(ParseRecordedNameError::Name(_))), "{text}");
        }
    }
}
