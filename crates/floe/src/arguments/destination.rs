//! Where an image goes, with advice for those who wrote it otherwise.

use floe_destination::{DestinationName, ParseDestinationError};

use crate::failure::{Failure, Outcome};
use crate::suggestion;
use crate::terminal::Terminal;

/// The words that destinations begin with.
const WORDS: [&str; 6] = ["oci", "oci-archive", "docker-archive", "podman", "docker", "containerd"];

/// Reads a destination.
///
/// # Errors
/// When the text is none, or it is standard output and that is a terminal.
pub(crate) fn destination(text: &str, terminal: &Terminal) -> Outcome<DestinationName> {
    let name: DestinationName = text.parse().map_err(|error| {
        let hint = hint(text, &error);
        Failure::usage(error).hint(hint)
    })?;
    if matches!(name, DestinationName::StandardOutput(_)) {
        terminal.expect_bytes_welcome()?;
    }
    Ok(name)
}

fn hint(text: &str, error: &ParseDestinationError) -> String {
    match error {
        ParseDestinationError::Unknown(_) => {
            let word = text.split(':').next().unwrap_or_default();
            match suggestion::nearest(word, WORDS) {
                Some(nearest) if text.contains(':') => format!("did you mean '{nearest}:'?"),
                Some(nearest) if nearest == word => format!("a destination has a colon: {nearest}:"),
                _ if word.contains('/') && word.contains('.') => {
                    "a registry is written docker://REFERENCE".to_owned()
                }
                _ => format!("for a file that every engine loads, write docker-archive:{text}"),
            }
        }
        ParseDestinationError::NoPath(_) => {
            "say where, such as oci:images/app or oci-archive:app.tar".to_owned()
        }
        ParseDestinationError::Tag { .. } => "leave the tag out, and give it with --tag".to_owned(),
        ParseDestinationError::Name { .. } => "leave the name out: the image's own is taken".to_owned(),
        ParseDestinationError::Reference { .. } => {
            "a reference is written registry.example.com/team/app:1.0".to_owned()
        }
    }
}
