//! `floe pull`: an image comes from a registry.

use clap::Args;
use floe_destination::{DestinationName, SourceName};

use crate::arguments::{PlatformArguments, RegistryArguments};
use crate::failure::Outcome;
use crate::terminal::Terminal;
use crate::transports::parse_destinations;
use crate::{copying, registries};

const EXAMPLES: &str = "\
Examples:
  floe pull registry.example.com/team/app:1.0                    into floe's record, to be run and loaded
  floe pull registry.example.com/team/app:1.0 oci:images:1.0     into an OCI layout
  floe pull registry.example.com/team/app:1.0 podman:            into podman
  floe pull --all docker.io/library/node:22 oci-archive:node.tar
                                                                 the images for all platforms";

/// Pull an image from a registry into the record, files or engines
///
/// The same as copy with a source in a registry. Each blob is checked against its digest and size while it comes, and
/// nothing appears before all of it has come.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The image: HOST/REPOSITORY[:TAG][@DIGEST]
    pub(crate) reference: String,
    /// Where it goes, as `floe copy --help` lists; several share one transfer [default: floe's own record]
    #[arg(value_name = "DESTINATION")]
    pub(crate) destinations: Vec<String>,
    #[command(flatten)]
    pub(crate) platforms: PlatformArguments,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Pulls the image.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let source = SourceName::Registry(registries::parse(&arguments.reference)?);
    let mut destinations = parse_destinations(&arguments.destinations)?;
    if destinations.is_empty() {
        destinations.push(DestinationName::Record(None));
    }
    copying::copy(&source, &destinations, &arguments.platforms, &arguments.registries, terminal)
}
