//! `floe config`: an image's config, byte for byte.

use clap::Args;

use crate::failure::Outcome;
use crate::looking::LookArguments;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe config registry.example.com/team/app:1.0 | jq .config.Env
  floe config docker.io/library/node:22 --platform linux/arm64
  floe config app";

/// Print an image's config: what it runs, as whom, with which environment
///
/// Of an index it is that of the image for this machine, unless --platform names another. A file or a program gets the
/// bytes as they are stored; a terminal gets them indented.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

/// Prints the config.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    terminal.document(&arguments.look.config(terminal)?)
}
