//! `floe export`: a recorded image goes into a file.

use clap::Args;
use floe_destination::registry::PushConfig;
use floe_destination::{ArchiveFormat, DestinationName, ParseDestinationError};
use floe_image::layer::Compression;
use serde_json::json;

use crate::arguments::RegistryArguments;
use crate::copying::check_takes_base;
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recorded;
use crate::terminal::{Terminal, size};
use crate::transports::{Transports, references};
use crate::workshop::Workshop;

const EXAMPLES: &str = "\
Examples:
  floe export app app.tar                 a file that podman, docker and containerd load
  floe export app app.tar.gz              the same in gzip: gunzip < app.tar.gz | podman load
  floe export app:1.0 oci-archive:app.tar an OCI archive
  floe export app - | docker load         to standard output";

/// Write a recorded image to a file
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A recorded image, NAME[:TAG] or NAME@GENERATION
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// The file, - for standard output, or a destination such as oci:DIR; a plain file is a docker-archive
    #[arg(value_name = "FILE")]
    pub(crate) file: String,
}

/// Writes the image.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let (name, recorded) = recorded::find(&places, Some(&arguments.image))?;
    let destination = destination(&arguments.file)?;
    check_takes_base(&destination, &recorded.image.base, terminal)?;
    let trees = recorded.trees();
    let workshop = Workshop { trees: &trees, places: &places, terminal, threads: None, remembers: true };
    let compression = match recorded.image.compression {
        Compression::Zstd(_) if !destination.reads_zstd()? => Compression::GZIP,
        compression => compression,
    };
    let registries = RegistryArguments::default();
    let transports = Transports::new(&places, terminal, &registries, references([], [&destination]));
    let opened = transports.destination(&destination, PushConfig::default())?;
    let delivered = workshop.deliver(&recorded.image, &name, opened, compression)?;
    if terminal.is_json() && !matches!(destination, DestinationName::StandardOutput(_)) {
        return terminal
            .json(&json!({ "location": delivered.location, "digest": delivered.manifest.digest }));
    }
    terminal.note(format!("{}  {} written", delivered.location, size(delivered.written)));
    Ok(())
}

/// A destination as it is written, or a plain file name, which becomes the archive that every engine loads.
/// A colon makes a destination, so that a misspelt one does not become a file.
fn destination(text: &str) -> Outcome<DestinationName> {
    text.parse().or_else(|error| match error {
        ParseDestinationError::Unknown(_) if !text.is_empty() && !text.contains(':') => {
            Ok(DestinationName::Archive { file: text.into(), format: ArchiveFormat::Hybrid })
        }
        error => Err(Failure::usage(error)),
    })
}
