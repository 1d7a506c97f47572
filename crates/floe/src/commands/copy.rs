//! `floe copy`: an image goes from one place to others, byte for byte.

use clap::Args;

use crate::arguments::{PlatformArguments, RegistryArguments};
use crate::copying;
use crate::failure::Outcome;
use crate::terminal::Terminal;
use crate::transports::{parse_destinations, parse_source};

const EXAMPLES: &str = "\
Examples:
  floe copy docker://registry.example.com/app:1.0 docker://mirror.example.com/app:1.0
                                     from one registry to another
  floe copy --all docker://docker.io/library/node:22 oci:images:node-22
                                     the images for all platforms, with their index
  floe copy --platform linux/arm64 docker://docker.io/library/node:22 docker-archive:node.tar
                                     the image for one platform, into a file
  floe copy app docker://registry.example.com/app:1.0 oci:images:1.0
                                     a recorded image, to two places
  floe copy podman:app:1.0 containerd:app:1.0
                                     from one engine to another

Places:
  NAME                               floe's record; to write, recorded:[NAME]
  docker://HOST/REPOSITORY[:TAG]     a registry, also REPOSITORY@DIGEST
  oci:DIR[:TAG]                      an OCI layout; to read, also oci:DIR@DIGEST
  oci-archive:FILE                   a file that podman and containerd load; to read, also FILE:NAME
  docker-archive:FILE                a file that docker loads too; to read, also FILE:NAME
  podman:[NAME]                      an engine, also docker: and containerd:; to read, with NAME
  -                                  standard output";

/// Copy an image from one place to others, byte for byte
///
/// Layers and manifests keep their digests; only what comes out of podman and docker has other layers, since they
/// forget the compressed bytes. Of an index the image for this machine is taken, unless --platform or --all say
/// otherwise. A registry is sent what it lacks, and takes over what another of its repositories has.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where the image comes from
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,
    /// Where it goes; several share one transfer
    #[arg(value_name = "DESTINATION", required = true)]
    pub(crate) destinations: Vec<String>,
    #[command(flatten)]
    pub(crate) platforms: PlatformArguments,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Copies the image.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let source = parse_source(&arguments.source)?;
    let destinations = parse_destinations(&arguments.destinations)?;
    copying::copy(&source, &destinations, &arguments.platforms, &arguments.registries, terminal)
}
