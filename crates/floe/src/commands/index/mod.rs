//! `floe index`: one name for the images of several platforms.

use clap::{Args, Subcommand};

use crate::failure::Outcome;
use crate::terminal::Terminal;

mod create;

const EXAMPLES: &str = "\
Examples:
  floe index create registry.example.com/app:1.0 registry.example.com/app:1.0-amd64 oci:arm:1.0
                                     join two images that were built elsewhere";

/// Give the images of several platforms one name
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    Create(create::Arguments),
}

/// Does what was asked.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    match &arguments.command {
        Command::Create(arguments) => create::run(arguments, terminal),
    }
}
