//! `floe remove`: recorded images are forgotten.

use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe remove app:1.0    forget an image; Nix may collect its paths again
  floe remove app web    forget several";

/// Forget recorded images
///
/// What engines and registries hold stays. The images' store paths are no longer kept from Nix's garbage collector.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Recorded images, NAME[:TAG]
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
}

/// Forgets the images.
pub(crate) fn run(_arguments: Arguments, _terminal: &Terminal) -> Outcome {
    Err(Failure::failed("images cannot be removed yet"))
}
