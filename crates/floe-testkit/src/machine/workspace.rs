//! The workspace's own commands, for tests that need what one of them makes.

use std::env;
use std::path::Path;
use std::process::Command;

/// Returns `cargo xtask` at the workspace's root, still without arguments.
#[must_use]
pub fn xtask_command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command.args(["run", "--quiet", "--locked", "--package", "xtask", "--"]);
    command
}
