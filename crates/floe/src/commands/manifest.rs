//! `floe manifest`: an image's manifest or index, byte for byte.

use clap::Args;

use crate::failure::Outcome;
use crate::looking::LookArguments;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe manifest registry.example.com/team/app:1.0                  what the tag names
  floe manifest docker.io/library/node:22 --platform linux/arm64   one image of an index
  floe manifest oci:images:1.0 | sha256sum                         the same as floe digest oci:images:1.0";

/// Print an image's manifest or index
///
/// A file or a program gets the bytes as they are stored, so that their SHA-256 is the digest; a terminal gets them
/// indented.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

/// Prints the manifest.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    terminal.document(&arguments.look.manifest(terminal)?.bytes)
}
