//! `floe run`: a recorded image runs in an engine, hardened unless flags loosen it.

use std::path::PathBuf;

use clap::Args;

use super::load::Engine;
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe run app                              run app:latest with its ports published
  floe run app -- --help                    give it other arguments
  floe run app --env-file .env --detach     with the environment it needs, in the background
  floe run app --publish 8080:3000          on another port of this machine
  floe run app --writable --cap-add NET_BIND_SERVICE
                                            loosen what is closed by default";

/// Run a recorded image in podman, docker or containerd
///
/// Closed by default: the root file system is read-only with a fresh /tmp, no capabilities, no new privileges, the
/// image's user. Only the image's ports are open. Flags loosen each.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A recorded image, NAME[:TAG]; may be left out when there is only one
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// Arguments that take the place of the image's cmd
    #[arg(value_name = "ARGS", last = true)]
    pub(crate) arguments: Vec<String>,
    /// The engine [default: podman if it is there, else docker, else containerd]
    #[arg(long, help_heading = "Container")]
    pub(crate) engine: Option<Engine>,
    /// Give the engine's run this word too; repeatable
    #[arg(long, value_name = "WORD", allow_hyphen_values = true, help_heading = "Container")]
    pub(crate) engine_arg: Vec<String>,
    /// Run in the background
    #[arg(short, long, help_heading = "Container")]
    pub(crate) detach: bool,
    /// The container's name
    #[arg(long, help_heading = "Container")]
    pub(crate) name: Option<String>,
    /// Set an environment variable, or pass on this machine's when only NAME is given; repeatable
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = "Container")]
    pub(crate) env: Vec<String>,
    /// Set the variables of a file with a NAME=VALUE on each line; repeatable
    #[arg(long, value_name = "FILE", help_heading = "Container")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Mount a folder or a volume: SOURCE:PATH[:ro]; repeatable
    #[arg(long, value_name = "SOURCE:PATH", help_heading = "Container")]
    pub(crate) volume: Vec<String>,
    /// Publish a port: [HOST:]CONTAINER[/udp]; repeatable; takes the place of the image's own
    #[arg(short, long, value_name = "PORT", help_heading = "Container")]
    pub(crate) publish: Vec<String>,
    /// Publish no port
    #[arg(long, conflicts_with = "publish", help_heading = "Container")]
    pub(crate) no_publish: bool,
    /// Let the root file system be written
    #[arg(long, help_heading = "Loosen")]
    pub(crate) writable: bool,
    /// Give back a capability, such as NET_BIND_SERVICE; repeatable
    #[arg(long, value_name = "CAPABILITY", help_heading = "Loosen")]
    pub(crate) cap_add: Vec<String>,
    /// Let programs gain privileges, such as by set-user-ID
    #[arg(long, help_heading = "Loosen")]
    pub(crate) new_privileges: bool,
}

/// Runs the image.
pub(crate) fn run(_arguments: Arguments, _terminal: &Terminal) -> Outcome {
    Err(Failure::failed("images cannot be run yet"))
}
