//! `floe load`: a recorded image goes into an engine.

use clap::{Args, ValueEnum};

use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe load podman          load the only recorded image
  floe load docker app      load app:latest
  floe load containerd app:1.0";

/// Load a recorded image into an engine
///
/// Layers that the engine has already are not sent again where it can say so.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The engine
    #[arg(value_name = "ENGINE")]
    pub(crate) engine: Engine,
    /// A recorded image, NAME[:TAG]; may be left out when there is only one
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<String>,
}

/// The engines that images run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// podman
    Podman,
    /// docker
    Docker,
    /// containerd, by ctr
    Containerd,
}

/// Loads the image.
pub(crate) fn run(_arguments: Arguments, _terminal: &Terminal) -> Outcome {
    Err(Failure::failed("images cannot be loaded yet"))
}
