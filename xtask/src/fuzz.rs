//! `cargo xtask test fuzz`: hostile bytes for every parser, for some seconds each.
//!
//! The targets are in `fuzz/`, a workspace of its own. What runs here is its smoke run, which needs no other toolchain
//! than the rest and tries the same inputs each time; `fuzz/README.md` says how to search for longer with libFuzzer.

use anyhow::Result;

use crate::steps::{cargo, stream};

/// Runs every target on its seeds and their mutations.
pub(crate) fn run() -> Result<()> {
    // The target directory is shared: dependencies that the tests have built are not built again.
    stream(&mut cargo([
        "run",
        "--manifest-path=fuzz/Cargo.toml",
        "--target-dir=target",
        "--locked",
        "--bin=smoke",
    ]))
}
