//! The flags of every command that speaks to registries.

use std::path::PathBuf;

use clap::Args;

/// How registries are spoken to, beyond what the user's and the machine's files say.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Registries")]
pub(crate) struct RegistryArguments {
    /// The file with logins, in place of those that podman and docker use
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
    /// Accept plain HTTP and any certificate from the registries that are named
    #[arg(long)]
    pub(crate) insecure: bool,
}
