//! `floe export`: a recorded image goes into a file.

use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe export app app.tar                 a file that podman, docker and containerd load
  floe export app:1.0 oci-archive:app.tar an OCI archive
  floe export app - | docker load         to standard output";

/// Write a recorded image to a file
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A recorded image, NAME[:TAG]
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// The file, - for standard output, or a destination such as oci:DIR; a plain file is a docker-archive
    #[arg(value_name = "FILE")]
    pub(crate) file: String,
}

/// Writes the image.
pub(crate) fn run(_arguments: Arguments, _terminal: &Terminal) -> Outcome {
    Err(Failure::failed("images cannot be exported yet"))
}
