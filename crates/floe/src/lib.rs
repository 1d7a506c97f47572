//! floe turns Nix closures into OCI images.
//!
//! The flow: `arguments` reads the command line, [`configuration`] reads `floe.toml`, a subcommand in
//! `commands` calls the libraries, `terminal` and `progress` show what happens, and a `failure`
//! becomes the exit code.
//!
//! The program is [`main`]; all that is public beside it is for tools that try floe's parsers on hostile bytes.

#![forbid(unsafe_code)]
#![expect(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments of arguments are help texts: NAME[:TAG] names an optional part, not an item"
)]

mod arguments;
pub mod configuration;

mod commands;

pub mod base;
mod built;
mod copying;
mod delivery;
mod earlier;
mod environment;
mod flake;
mod gather;
mod hearsay;
mod looking;
mod places;
mod recorded;
mod registries;
mod settings;
mod tee;
mod transports;
mod watch;
mod workshop;

mod doctor;

mod failure;
mod progress;
mod suggestion;
mod template;
mod terminal;

use std::process::ExitCode;

use crate::arguments::{CommandLine, Early, GlobalArguments};
use crate::failure::{Kind, Outcome};
use crate::terminal::Terminal;

/// Runs floe with the words and the environment of this process, and returns its exit code.
///
/// Installs a panic hook: a panic is shown as the bug that it is.
pub fn main() -> ExitCode {
    failure::install_panic_hook();
    // The hook has said what there is to say; a panic anywhere is a bug and gets its own exit code.
    std::panic::catch_unwind(run).unwrap_or_else(|_| ExitCode::from(Kind::Bug.exit_code()))
}

fn run() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    // What cannot be read may still ask for JSON, and whoever reads it should get it.
    let json = words.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    let command_line = flake::application::expanded(words)
        .map_err(Early::Failure)
        .and_then(|words| CommandLine::read(&words));
    let (terminal, outcome): (Terminal, Outcome) = match command_line {
        Ok(command_line) => {
            let terminal = Terminal::new(&command_line.global);
            let outcome = command_line.run(&terminal);
            (terminal, outcome)
        }
        Err(early) => {
            let terminal = Terminal::new(&GlobalArguments { json, ..GlobalArguments::default() });
            let outcome = match early {
                Early::Asked(text) => terminal.text(&text),
                Early::Failure(failure) => Err(failure),
            };
            (terminal, outcome)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.failure(&failure);
            failure.exit_code()
        }
    }
}
