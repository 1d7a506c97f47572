//! Steps that are announced, timed, and summed up at the end.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::terminal::{say, seconds};

/// What was done so far and how long it took.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    taken: Vec<(String, Duration)>,
}

impl Steps {
    /// Announces a step, runs it and remembers its time; a failed step ends with the table of times.
    pub(crate) fn step<T>(&mut self, name: &str, action: impl FnOnce() -> Result<T>) -> Result<T> {
        say(&format!("\n==> {name}"));
        let start = Instant::now();
        let result = action();
        self.taken.push((name.to_owned(), start.elapsed()));
        if result.is_err() {
            self.summarise(Some(name));
        }
        result.with_context(|| format!("step `{name}` failed"))
    }

    /// Writes the table of times.
    pub(crate) fn finish(&self) {
        self.summarise(None);
    }

    fn summarise(&self, failed: Option<&str>) {
        let width = self.taken.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        say("");
        for (name, time) in &self.taken {
            let outcome = if failed == Some(name) { "FAILED" } else { "ok" };
            say(&format!("{name:width$}  {}  {outcome}", seconds(*time)));
        }
        let total = self.taken.iter().map(|(_, time)| *time).sum();
        say(&format!("{:width$}  {}", "total", seconds(total)));
    }
}

/// Runs a program in the workspace with the terminal as its own; fails with the command line.
pub(crate) fn stream(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    say(&format!("$ {line}"));
    let status = command.status().with_context(|| {
        format!("cannot start `{line}`: is it installed? `cargo xtask install` says what is missing")
    })?;
    if !status.success() {
        bail!("`{line}` failed with {status}");
    }
    Ok(())
}

/// A command that runs cargo at the workspace's root.
pub(crate) fn cargo<'argument>(arguments: impl IntoIterator<Item = &'argument str>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace());
    command
}

/// The workspace's root.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
