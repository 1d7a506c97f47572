//! The project's own commands: `cargo xtask COMMAND`.
//!
//! Each subcommand is a file; what continuous integration runs is `cargo xtask test`, the same as a contributor.

mod install;

mod test;

mod closure;

mod build_init;

mod rounds;

mod demo;

mod bench;

mod licences;

mod edges;

mod fuzz;

mod steps;

mod terminal;

use std::env;
use std::process::ExitCode;

/// What `cargo xtask` prints when it does not know what to do.
const USAGE: &str = "\
usage: cargo xtask COMMAND

  install                          installs what tests and the demo need (Debian packages, as root)
  test [STEP...]                   runs all steps of the test command, or only the named ones
  closure NAME                     builds a closure that tests share and prints its root store paths
  build-init [ARCHITECTURE...]     builds the static floe-init for images, prints where it is and its size
  rounds                           kills seeders of a volume 300 times and looks at what is left
  bench [build|registry]           times floe beside its peers and writes docs/benchmarks.md
  bench layers                     compares ways of layering and writes docs/layering.md
  demo                             packs a web server of Node, runs it hardened and fetches its page
";

/// The exit code for bad usage, as in floe itself.
const BAD_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["install"] => install::run(),
        ["test", steps @ ..] => test::run(steps),
        ["closure", name] => closure::run(name),
        ["build-init", architectures @ ..] => build_init::run(architectures),
        ["rounds"] => rounds::run(),
        ["demo"] => demo::run(),
        ["bench", "layers"] => bench::layers::run(),
        ["bench", parts @ ..] => bench::run(parts),
        _ => {
            terminal::complain(USAGE.trim_end());
            return ExitCode::from(BAD_USAGE);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
