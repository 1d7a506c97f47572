//! `cargo xtask test`: everything that a change must pass, in the order that fails earliest.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use floe_testkit::debian;

use crate::steps::{Steps, cargo, stream};
use crate::{build_init, edges, fuzz, install, licences};

/// One step of the test command.
struct Step {
    name: &'static str,
    /// What it does, for the list of steps.
    purpose: &'static str,
    action: fn() -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "install", purpose: "installs what the tests need", action: install::run },
    Step { name: "format", purpose: "checks the formatting", action: format },
    Step { name: "clippy", purpose: "checks all targets with the workspace's lints", action: clippy },
    Step { name: "doc", purpose: "builds the documentation without warnings", action: doc },
    Step { name: "edges", purpose: "checks which crates import which", action: edges::check },
    Step { name: "licences", purpose: "checks the dependencies' licences", action: licences::check },
    Step { name: "closures", purpose: "builds the closures that tests share", action: closures },
    Step { name: "init", purpose: "builds the static floe-init for both architectures", action: init },
    Step { name: "tests", purpose: "runs unit and integration tests", action: tests },
    Step { name: "doctests", purpose: "runs the examples in the documentation", action: doctests },
    Step { name: "fuzz", purpose: "runs each fuzz target for a moment", action: fuzz::run },
];

/// Runs the named steps in the order of the list, all of them when none is named.
pub(crate) fn run(names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !STEPS.iter().any(|step| step.name == **name)) {
        let known =
            STEPS.iter().map(|step| format!("\n  {:9} {}", step.name, step.purpose)).collect::<String>();
        bail!("unknown step {unknown}; the steps are:{known}");
    }
    let mut steps = Steps::default();
    for step in STEPS.iter().filter(|step| names.is_empty() || names.contains(&step.name)) {
        steps.step(step.name, step.action)?;
    }
    steps.finish();
    Ok(())
}

fn format() -> Result<()> {
    stream(&mut cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    stream(&mut cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny=warnings"]))
}

fn doc() -> Result<()> {
    let mut command = cargo(["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"]);
    // The documentation is for people who work on the house: it holds private items, so links to them do resolve.
    stream(command.env("RUSTDOCFLAGS", "--deny=warnings --allow=rustdoc::private_intra_doc_links"))
}

/// Built before the tests, so that none of them waits minutes and is taken for hanging.
fn closures() -> Result<()> {
    debian::node_closure()?;
    debian::node_22()?;
    debian::node_server()?;
    debian::nix_closure()?;
    Ok(())
}

/// Built before the tests, which put it into containers.
fn init() -> Result<()> {
    build_init::run(&[])
}

fn tests() -> Result<()> {
    if has_nextest() {
        stream(&mut cargo(["nextest", "run", "--workspace", "--locked"]))
    } else {
        stream(&mut cargo(["test", "--workspace", "--all-targets", "--locked"]))
    }
}

fn doctests() -> Result<()> {
    stream(&mut cargo(["test", "--workspace", "--doc", "--locked"]))
}

fn has_nextest() -> bool {
    let mut command: Command = cargo(["nextest", "--version"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
