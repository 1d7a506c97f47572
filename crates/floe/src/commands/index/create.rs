//! `floe index create`: images that were built elsewhere are joined by an index.

use clap::Args;
use floe_destination::registry::PushConfig;
use floe_destination::{DestinationName, JoinError, JoinedSource, SourceName};

use crate::arguments::RegistryArguments;
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::terminal::Terminal;
use crate::transports::{Transports, parse_source, references};
use crate::{copying, registries};

const EXAMPLES: &str = "\
Examples:
  floe index create registry.example.com/app:1.0 \\
      docker://registry.example.com/app:1.0-amd64 docker://registry.example.com/app:1.0-arm64
                                     two images of the registry: nothing but the index is sent
  floe index create registry.example.com/app:1.0 app-amd64 oci-archive:arm64.tar
                                     a recorded image and one from another machine
  floe index create oci:images:1.0 oci:amd64 oci:arm64
                                     into an OCI layout";

/// Join images for several platforms under one name
///
/// The platform of each is what its config says; of an image that is an index already, all its images are taken. What the
/// destination has is not sent again, and a registry takes over what its other repositories have.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The name of the index: HOST/REPOSITORY[:TAG], or another place that holds one, such as oci:DIR:TAG
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: String,
    /// The images, from anywhere that `floe copy --help` lists
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Joins the images.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let destination = parse_destination(&arguments.reference)?;
    let names = arguments.images.iter().map(|image| parse_source(image)).collect::<Outcome<Vec<_>>>()?;
    let places = Places::find()?;
    let transports =
        Transports::new(&places, terminal, &arguments.registries, references(&names, [&destination]));
    let sources = names.iter().map(|name| transports.source(name)).collect::<Outcome<Vec<_>>>()?;
    let joined = JoinedSource::new(sources).map_err(|error| match error {
        JoinError::Documents(error) => transports.explain_documents(error),
        JoinError::SamePlatform(error) => {
            Failure::failed(error.to_string()).hint("leave one of them out: whoever pulls gets only one")
        }
    })?;
    copying::check_takes(&destination, None, joined.manifests(), terminal)?;
    let opened = transports.destination(&destination, mount_sources(&joined, &names, &destination)?)?;
    copying::deliver(&joined, joined.manifests(), &[destination], vec![opened], &transports, terminal)
}

/// A place that is written out, or a reference in a registry.
fn parse_destination(text: &str) -> Outcome<DestinationName> {
    match text.parse() {
        Ok(name) => Ok(name),
        Err(_) => registries::parse(text).map(DestinationName::Registry),
    }
}

/// The repositories on the destination's host that hold blobs of the images.
fn mount_sources(
    joined: &JoinedSource,
    names: &[SourceName],
    destination: &DestinationName,
) -> Outcome<PushConfig> {
    let mut config = PushConfig::default();
    let DestinationName::Registry(target) = destination else { return Ok(config) };
    for blob in joined.manifests().blobs()? {
        if let Some(SourceName::Registry(source)) =
            joined.holder(&blob.digest).and_then(|holder| names.get(holder))
            && source.host() == target.host()
        {
            config.mount_sources.insert(blob.digest, source.repository().to_owned());
        }
    }
    Ok(config)
}
