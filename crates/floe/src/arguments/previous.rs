//! The flags of commands that plan layers: which earlier image is looked at.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use floe_destination::{ParseSourceError, SourceName};

/// Which earlier image a plan keeps to.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Update")]
pub(crate) struct PreviousFlags {
    /// Keep the layers of this image, as far as that pays [default: the image that is replaced]
    ///
    /// recorded (the recorded image of the same name), the name of another one, docker://REF, oci:DIR, an archive, or
    /// a file that `floe plan --json` wrote. What is replaced is the recorded image of the same name or, with
    /// --to docker://REF, what REF names.
    #[arg(long, value_name = "IMAGE", conflicts_with = "no_previous")]
    pub(crate) previous: Option<PreviousName>,
    /// Plan without an earlier image, so that the plan follows from the contents alone
    #[arg(long)]
    pub(crate) no_previous: bool,
}

/// An earlier image, as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PreviousName {
    /// The recorded image of the same name.
    Recorded,
    /// An image in some place.
    Source(SourceName),
    /// A plan in a file.
    File(PathBuf),
}

impl PreviousName {
    /// The place that the image is in, unless it is the record or a file.
    pub(crate) fn source(&self) -> Option<&SourceName> {
        match self {
            Self::Source(name) => Some(name),
            Self::Recorded | Self::File(_) => None,
        }
    }
}

impl FromStr for PreviousName {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let has_json = Path::new(text).extension().is_some_and(|extension| extension == "json");
        match text {
            "recorded" => Ok(Self::Recorded),
            _ if has_json && !text.contains(':') => Ok(Self::File(text.into())),
            _ => text.parse().map(Self::Source),
        }
    }
}
