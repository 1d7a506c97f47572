//! The command line: subcommands, help, and the manual's table.

use std::ffi::OsString;

use crate::failure::{BAD_USAGE, DONE, Failure};
use crate::setting::Setting;
use crate::signals::Signals;
use crate::{activate, environment, health, run, seed, terminal, wait};

/// What `--help` answers.
const HELP: &str = "\
floe-init: PID 1 of floe's images

Usage: floe-init [run] -- PROGRAM [ARGUMENT...]
       floe-init seed [--from DIR] [--to DIR] [--verify | --repair]
       floe-init check-env
       floe-init health [--timeout SPAN] TARGET... | exec PROGRAM [ARGUMENT...]
       floe-init activate PROFILE|FLAKE

  run        checks the environment, seeds or finds /nix, waits, then runs the program
  seed       fills a volume with the image's store paths, or checks it
  check-env  checks the environment as run does, and tells every problem
  health     probes tcp://host:port, http://host/path, file:///path, or a program
  activate   makes a profile or a home-manager generation current, or takes it back

Settings (variable or flag):
";

/// Each subcommand with its settings, in the manual's order.
const TABLES: [(&str, &[Setting]); 6] = [
    ("run", run::SETTINGS),
    ("environment", environment::SETTINGS),
    ("wait", wait::SETTINGS),
    ("seed", seed::SETTINGS),
    ("health", health::SETTINGS),
    ("activate", activate::SETTINGS),
];

/// Does what the arguments say; returns the exit code.
pub(crate) fn dispatch(arguments: &[OsString]) -> Result<u8, Failure> {
    let Some((first, rest)) = arguments.split_first() else {
        return Err(Failure::new(BAD_USAGE, "there is nothing to do").hint("floe-init --help"));
    };
    match first.to_str().unwrap_or_default() {
        // The entrypoint of an image is `floe-init --`, and its command follows.
        "--" => run::run(arguments, &Signals::block()),
        "run" => run::run(rest, &Signals::block()),
        "seed" => seed::run(rest, &Signals::block()),
        "check-env" => environment::run(rest),
        "health" => health::run(rest, &Signals::block()),
        "activate" => activate::run(rest, &Signals::block()),
        "--help" | "-h" | "help" => {
            terminal::answer(&help());
            Ok(DONE)
        }
        "--version" => {
            terminal::answer(concat!("floe-init ", env!("CARGO_PKG_VERSION"), "\n"));
            Ok(DONE)
        }
        other => Err(Failure::new(BAD_USAGE, format!("'{other}' is no subcommand"))
            .hint("the subcommands are run, seed, check-env, health and activate")
            .hint("a program to run goes behind '--'")),
    }
}

fn help() -> String {
    let settings = TABLES.iter().flat_map(|(_, table)| table.iter()).map(|setting| {
        let name = if setting.variable.is_empty() { setting.flag } else { setting.variable };
        let default = if setting.default.is_empty() { "" } else { &format!(" [{}]", setting.default) };
        format!("  {name:20}{default} {}\n", setting.meaning)
    });
    settings.fold(HELP.to_owned(), |help, setting| help + &setting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::rows;

    #[test]
    fn the_manual_has_every_setting() {
        let manual = include_str!("../../../docs/floe-init.md");
        for (name, table) in TABLES {
            assert!(manual.contains(&rows(table)), "docs/floe-init.md lacks, for {name}:\n{}", rows(table));
        }
    }
}
