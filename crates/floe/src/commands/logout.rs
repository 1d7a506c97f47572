//! `floe logout`: logins are forgotten.

use std::path::PathBuf;

use clap::Args;
use floe_destination::registry::credentials::{self, Login, LoginName};
use serde_json::json;

use super::login::kept;
use crate::failure::{Failure, Outcome};
use crate::registries;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe logout registry.example.com   forget one login
  floe logout --all                  forget every login

podman, docker and skopeo share their logins with floe: they are logged out too.";

/// Log out of a registry
///
/// The login is removed from every file and helper in which it would be found.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The registry's host, or a namespace in it: HOST[:PORT][/NAMESPACE]
    #[arg(required_unless_present = "all")]
    pub(crate) registry: Option<String>,
    /// Forget every login
    #[arg(long, conflicts_with = "registry")]
    pub(crate) all: bool,
    /// The file with logins, in place of those that podman and docker use
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
}

/// Forgets logins.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let sources = registries::credentials(arguments.authfile.as_deref());
    let name: Option<LoginName> =
        arguments.registry.as_deref().map(str::parse).transpose().map_err(Failure::usage)?;
    let places = match &name {
        Some(name) => credentials::logout(&sources, name)?,
        None => credentials::logout_all(&sources)?,
    };
    let places: Vec<String> = places.iter().map(kept).collect();
    let what = name.as_ref().map_or_else(|| "every registry".to_owned(), ToString::to_string);
    if terminal.is_json() {
        terminal.json(&json!({ "registry": name.as_ref().map(ToString::to_string), "forgotten": places }))?;
    } else if places.is_empty() {
        terminal.note(format!("nobody was logged in to {what}"));
    } else {
        terminal.note(format!("logged out of {what}; what was {} is gone", places.join(" and ")));
    }
    // What a variable says is not floe's to forget.
    let remaining = credentials::logins(&sources)?;
    let is_meant = |login: &Login| name.as_ref().is_none_or(|name| name.to_string() == login.registry);
    if let Some(login) = remaining.iter().find(|login| is_meant(login)) {
        terminal.warning(format!("the login for {} {} remains", login.registry, kept(&login.place)));
    }
    Ok(())
}
