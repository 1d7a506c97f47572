//! The whole command line, and its errors in floe's own form.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::GlobalArguments;
use crate::commands::{
    build, completions, config, copy, delete, derivation, diff, digest, doctor, export, extract, gc, history,
    images, index, inspect, load, lock, login, logout, man, manifest, new, plan, pull, push, remove,
    rollback, run, tag, tags,
};
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe build ./result --name web          make an image of a build's closure, and record it
  floe run web                            run it: not as root, read-only, without capabilities
  floe build .#app --to oci-archive:app.tar
                                          build a flake's package, write its image to a file
  floe build --port 3000 .#app --to -  | podman load
                                          hand an image to an engine
  floe build app && floe load docker app  build [image.app] of floe.toml, give it to docker
  floe plan .#app                         show which store paths would share a layer

Exit codes: 0 done, 1 failed, 2 bad usage, 3 broken pipe, 255 bug in floe.";

/// Turn Nix closures into container images
///
/// floe makes OCI images of what Nix builds, straight from the store, byte for byte the same on every machine, and
/// hands them to podman, docker, containerd, or a file.
#[derive(Debug, Parser)]
#[command(name = "floe", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Build(Box<build::Arguments>),
    Lock(lock::Arguments),
    Plan(Box<plan::Arguments>),
    Run(run::Arguments),
    Load(load::Arguments),
    Push(push::Arguments),
    Export(export::Arguments),
    Extract(extract::Arguments),
    Copy(copy::Arguments),
    Pull(pull::Arguments),
    Images(images::Arguments),
    Index(index::Arguments),
    Inspect(inspect::Arguments),
    History(history::Arguments),
    Diff(diff::Arguments),
    Rollback(rollback::Arguments),
    Remove(remove::Arguments),
    Gc(gc::Arguments),
    Login(login::Arguments),
    Logout(logout::Arguments),
    Digest(digest::Arguments),
    Manifest(manifest::Arguments),
    Config(config::Arguments),
    Tags(tags::Arguments),
    Tag(tag::Arguments),
    Delete(delete::Arguments),
    New(new::Arguments),
    Doctor(doctor::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    // What Nix calls, not people.
    #[command(hide = true)]
    Derivation(derivation::Arguments),
}

/// Why there is no command line to act on.
#[derive(Debug)]
pub(crate) enum Early {
    /// Help or the version was asked for: its text.
    Asked(String),
    /// The words make no sense.
    Failure(Failure),
}

impl CommandLine {
    /// Reads the words of a command line, the program's name first.
    ///
    /// # Errors
    /// When help was asked for, or the words make no sense.
    pub(crate) fn read(words: &[OsString]) -> Result<Self, Early> {
        let matches = Self::command().try_get_matches_from(words);
        matches.and_then(|matches| Self::from_arg_matches(&matches)).map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Early::Asked(error.render().to_string()),
            _ => Early::Failure(usage_failure(&error, words)),
        })
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// As the subcommand.
    pub(crate) fn run(self, terminal: &Terminal) -> Outcome {
        match self.command {
            Command::Build(arguments) => build::run(*arguments, terminal),
            Command::Lock(arguments) => lock::run(&arguments, terminal),
            Command::Plan(arguments) => plan::run(*arguments, terminal),
            Command::Run(arguments) => run::run(arguments, terminal),
            Command::Load(arguments) => load::run(&arguments, terminal),
            Command::Push(arguments) => push::run(&arguments, terminal),
            Command::Export(arguments) => export::run(&arguments, terminal),
            Command::Extract(arguments) => extract::run(&arguments, terminal),
            Command::Copy(arguments) => copy::run(&arguments, terminal),
            Command::Pull(arguments) => pull::run(&arguments, terminal),
            Command::Images(arguments) => images::run(&arguments, terminal),
            Command::Index(arguments) => index::run(&arguments, terminal),
            Command::Inspect(arguments) => inspect::run(&arguments, terminal),
            Command::History(arguments) => history::run(&arguments, terminal),
            Command::Diff(arguments) => diff::run(&arguments, terminal),
            Command::Rollback(arguments) => rollback::run(&arguments, terminal),
            Command::Remove(arguments) => remove::run(&arguments, terminal),
            Command::Gc(arguments) => gc::run(&arguments, terminal),
            Command::Login(arguments) => login::run(&arguments, terminal),
            Command::Logout(arguments) => logout::run(&arguments, terminal),
            Command::Digest(arguments) => digest::run(&arguments, terminal),
            Command::Manifest(arguments) => manifest::run(&arguments, terminal),
            Command::Config(arguments) => config::run(&arguments, terminal),
            Command::Tags(arguments) => tags::run(&arguments, terminal),
            Command::Tag(arguments) => tag::run(&arguments, terminal),
            Command::Delete(arguments) => delete::run(&arguments, terminal),
            Command::New(arguments) => new::run(&arguments, terminal),
            Command::Doctor(arguments) => doctor::run(&arguments, terminal),
            Command::Completions(arguments) => completions::run(&arguments, terminal),
            Command::Man(arguments) => man::run(&arguments, terminal),
            Command::Derivation(arguments) => derivation::run(&arguments),
        }
    }
}

/// What clap begins a hint with, and so the flags' own values too.
pub(super) const TIP: &str = "tip: ";

/// Turns clap's paragraphs into one line and hints.
fn usage_failure(error: &clap::Error, words: &[OsString]) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        || error.kind() == ErrorKind::MissingSubcommand
    {
        return Failure::bad_usage("no command given: expected one such as `floe build ./result`")
            .hint("`floe --help` shows the commands with examples");
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let message = paragraphs.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message: Vec<&str> = message.split_whitespace().collect();
    let mut failure = Failure::bad_usage(message.join(" "));
    let lines: Vec<&str> = paragraphs.flat_map(str::lines).collect();
    for tip in lines.iter().filter_map(|line| line.trim().strip_prefix(TIP)) {
        failure = failure.hint(tip);
    }
    if failure.hints.is_empty()
        && let Some(usage) = lines.iter().find_map(|line| line.strip_prefix("Usage: "))
    {
        failure = failure.hint(format!("usage: {usage}"));
    }
    if failure.hints.is_empty() {
        let command = CommandLine::command();
        let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let name = words.iter().skip(1).find_map(|word| names.iter().find(|name| word == **name));
        let program = name.map_or_else(|| "floe".to_owned(), |name| format!("floe {name}"));
        failure = failure.hint(format!("`{program} --help` says what is taken, with examples"));
    }
    failure
}
