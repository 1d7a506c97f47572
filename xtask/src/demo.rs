//! `cargo xtask demo`: from a flake to a page out of a hardened container, with the time of each step.
//!
//! Nothing stays behind but caches: podman has its own storage, which goes when the demo ends.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use floe_testkit::debian::{self, BuiltClosure};
use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine as _, Run};

use crate::install;
use crate::steps::{Steps, cargo, stream, workspace};
use crate::terminal::{answer, say};

/// The image's reference.
const IMAGE: &str = "node-server:demo";

/// The port of `examples/node-server`.
const PORT: u16 = 3000;

/// Installs, builds, packs, loads, runs and fetches.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.step("install what is missing", install::run)?;
    steps
        .step("build floe", || stream(&mut cargo(["build", "--release", "--package", "floe", "--locked"])))?;
    let server = steps.step("build the Node server with Nix", || Ok(debian::node_server()?))?;
    let podman = steps.step("start a podman with its own storage", || Ok(Podman::start()?))?;
    let floe = release_binary("floe")?;
    steps.step("floe build", || build_image(&floe, &server))?;
    steps.step("floe load podman", || {
        stream(Command::new(&floe).args(["load", "podman", IMAGE]).envs(podman.environment()))
    })?;
    let (page, health) = steps.step("run it hardened and fetch its page", || fetch(&podman))?;
    answer(&page);
    answer(&health);
    steps.finish();
    say("the container ran as user 1000, with a read-only root and without any capability");
    Ok(())
}

fn build_image(floe: &Path, server: &BuiltClosure) -> Result<()> {
    let root = server.root("node-server").context("the example has no output")?;
    let port = PORT.to_string();
    let entrypoint = root.join("bin/node-server");
    let (name, tag) = IMAGE.split_once(':').expect("the image's reference has a tag");
    let mut command = Command::new(floe);
    command.arg("build").arg(root).args(["--name", name, "--tag", tag, "--entrypoint"]).arg(entrypoint);
    stream(command.args(["--port", &port]))
}

/// Starts the image as [`Engine`](floe_testkit::engine::Engine) does: read-only, no capabilities, no new privileges.
fn fetch(podman: &Podman) -> Result<(String, String)> {
    let run = Run { image: IMAGE, port: Some(PORT), ..Run::default() };
    let container = podman.run_detached(&run)?;
    Ok((container.fetch("/")?, container.fetch("/health")?))
}

/// Where cargo puts a program of the release profile, also with another target directory.
pub(crate) fn release_binary(name: &str) -> Result<PathBuf> {
    let output = cargo(["metadata", "--format-version=1", "--no-deps", "--locked"])
        .output()
        .context("cannot start cargo metadata")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata wrote")?;
    let target =
        metadata["target_directory"].as_str().map_or_else(|| workspace().join("target"), PathBuf::from);
    Ok(target.join("release").join(name))
}
