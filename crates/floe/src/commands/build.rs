//! `floe build`: contents become an image.

use std::num::NonZeroUsize;

use clap::Args;

use crate::arguments::SelectionFlags;
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe build ./result                             record an image of the closure of ./result
  floe build                                      build the only image of floe.toml
  floe build app --tag 1.1                        build [image.app], with another tag
  floe build .#app --to oci:images/app:1.0        write an OCI layout
  floe build .#app --to docker-archive:app.tar --to podman:
                                                  write a file, and load it into podman
  floe build .#app --entrypoint /bin/app --cmd --port --cmd 3000 --port 3000
                                                  say what is run and where it listens
  floe build ./public --root ./public             an image of a plain directory, without Nix";

/// Make an image, and record it or send it somewhere
///
/// The first word is an entry of floe.toml if it names one; all other words are contents: store paths, links to
/// them, flake installables, or plain directories. Contents that are named here take the place of the entry's.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) selection: SelectionFlags,
    /// Where the image goes; repeatable [default: floe's own record]
    ///
    /// oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, - (standard output), podman:, docker:, containerd:
    #[arg(long, value_name = "DESTINATION", help_heading = "Destination")]
    pub(crate) to: Vec<String>,
    /// Use so many threads [default: one for each processor]
    #[arg(long, value_name = "NUMBER", help_heading = "Work")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Pack every layer anew, and remember none
    #[arg(long, help_heading = "Work")]
    pub(crate) no_memo: bool,
}

/// Builds the image.
pub(crate) fn run(arguments: Arguments, _terminal: &Terminal) -> Outcome {
    let _selection = arguments.selection.select(&std::env::current_dir()?)?;
    Err(Failure::failed("images cannot be built yet"))
}
