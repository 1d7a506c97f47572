//! `floe images`: what is recorded.

use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe images                            name, tag, digest, size, when
  floe images --json | jq -r '.[].name'  for machines";

/// List the recorded images
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {}

/// Lists the images.
pub(crate) fn run(_arguments: &Arguments, _terminal: &Terminal) -> Outcome {
    Err(Failure::failed("images cannot be listed yet"))
}
