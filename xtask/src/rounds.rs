//! `cargo xtask rounds`: many more rounds of killed seeders than the test command has patience for.

use anyhow::Result;

use crate::steps::{cargo, stream};

/// Rounds of two seeders.
const ROUNDS: &str = "300";

/// Runs them; `FLOE_ROUNDS_SEED` chooses other moments.
pub(crate) fn run() -> Result<()> {
    let mut command = cargo(["test", "--package", "floe-init", "--test", "seed", "--locked", "rounds::"]);
    stream(command.env("FLOE_ROUNDS", ROUNDS))
}
