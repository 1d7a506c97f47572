//! The package set made of Debian's packages, built with the machine's Nix.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use floe_testkit::debian::{node_closure, node_server};
use floe_testkit::machine::{nix_command, run_for_output};

/// Runs a program in a root directory that holds `/nix` and nothing else of this machine.
fn run_from_store_alone(program: &Path, arguments: &[&str]) -> Result<String> {
    let root = tempfile::tempdir()?;
    fs::create_dir(root.path().join("nix"))?;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec"])
        .arg("root=$1; shift; mount --rbind /nix \"$root/nix\"; exec env --ignore-environment /usr/sbin/chroot \"$root\" \"$@\"")
        .arg("sh")
        .arg(root.path())
        .arg(program)
        .args(arguments);
    Ok(run_for_output(&mut command)?)
}

#[test]
fn node_runs_from_the_store_alone() -> Result<()> {
    let closure = node_closure()?;
    let node = closure.root("nodejs").context("the closure holds nodejs")?.join("bin/node");
    let check = |script: &str, expected: &str| -> Result<()> {
        assert_eq!(run_from_store_alone(&node, &["--eval", script])?.trim_end(), expected, "{script}");
        Ok(())
    };
    check("console.log(process.execPath)", &node.display().to_string())?;
    // Modules that Debian's node reads from /usr/share/nodejs: undici behind fetch, the lexer behind import.
    check("console.log(typeof fetch)", "function")?;
    check("import('node:fs').then(fs => console.log(typeof fs.readFileSync))", "function")?;
    check("console.log(new Intl.NumberFormat('de').format(1234.5))", "1.234,5")?;
    let coreutils = closure.root("coreutils").context("the closure holds coreutils")?;
    assert_eq!(run_from_store_alone(&coreutils.join("bin/echo"), &["floe"])?, "floe\n");
    Ok(())
}

#[test]
fn certificates_have_the_layout_of_nixpkgs() -> Result<()> {
    let closure = node_closure()?;
    let certificates = closure.root("ca-certificates").context("the closure holds ca-certificates")?;
    let bundle = fs::read_to_string(certificates.join("etc/ssl/certs/ca-bundle.crt"))?;
    assert!(bundle.matches("-----BEGIN CERTIFICATE-----").count() > 100, "{} bytes", bundle.len());
    Ok(())
}

#[test]
fn the_example_refers_to_node_and_to_no_shell() -> Result<()> {
    let closure = node_server()?;
    let server = closure.root("node-server").context("the example is built")?;
    let paths = run_for_output(nix_command("nix-store").args(["--query", "--requisites"]).arg(server))?;
    assert!(paths.contains("-nodejs-"), "{paths}");
    assert!(!paths.contains("-bash-"), "{paths}");
    assert_eq!(closure, node_server()?, "a second call answers the same");
    Ok(())
}
