//! `floe completions`: what a shell needs to complete floe's words.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::CommandLine;
use crate::failure::Outcome;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  source <(floe completions bash)
  floe completions zsh > ~/.zfunc/_floe
  floe completions fish > ~/.config/fish/completions/floe.fish";

/// Write completions for a shell to standard output
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The shell
    pub(crate) shell: Shell,
}

/// Writes the completions.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut CommandLine::command(), "floe", &mut script);
    terminal.text(&String::from_utf8(script)?)
}
