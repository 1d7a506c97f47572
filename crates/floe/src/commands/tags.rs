//! `floe tags`: which tags a repository has.

use clap::Args;
use serde_json::json;

use crate::arguments::RegistryArguments;
use crate::failure::Outcome;
use crate::registries;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe tags registry.example.com/team/app                   one a line, sorted
  floe tags registry.example.com/team/app --json | jq .tags  for machines";

/// List the tags of a repository in a registry
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The repository: HOST/REPOSITORY; a tag behind it means nothing
    pub(crate) repository: String,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Lists the tags.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let reference = registries::parse(&arguments.repository)?;
    let repository = registries::repository(&arguments.registries, &reference, terminal)?;
    let tags = repository.tags().map_err(|error| registries::explain(error, repository.host()))?;
    if terminal.is_json() {
        return terminal.json(&json!({ "repository": repository.to_string(), "tags": tags }));
    }
    if tags.is_empty() {
        terminal.note(format!("{repository} has no tags"));
        return Ok(());
    }
    terminal.text(&tags.iter().map(|tag| format!("{tag}\n")).collect::<String>())
}
