//! The package set made of Debian's packages, built with the machine's Nix.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use floe_testkit::debian::{PackageSetConfig, build_closure, node_closure, node_server};
use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine as _, Run};
use floe_testkit::machine::{nix_command, run, run_for_output};

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

/// The interpreter that an ELF file names, `None` for a file of another architecture than `machine`.
fn interpreter(program: &Path, machine: u8) -> Result<Option<String>> {
    let bytes = fs::read(program)?;
    let interpreter = run_for_output(Command::new("patchelf").arg("--print-interpreter").arg(program))?;
    Ok((bytes.get(18) == Some(&machine)).then(|| interpreter.trim_end().to_owned()))
}

#[test]
fn repackages_another_architecture() -> Result<()> {
    /// `EM_AARCH64` of elf(5).
    const AARCH64: u8 = 183;
    let config = PackageSetConfig {
        name: "aarch64".to_owned(),
        system: "aarch64-linux".to_owned(),
        roots: vec!["hello".to_owned()],
        held: BTreeMap::new(),
    };
    let closure = build_closure("hello-aarch64", config, &["hello"])?;
    let hello = closure.root("hello").context("hello is built")?;
    let interpreter = interpreter(&hello.join("bin/hello"), AARCH64)?.context("hello is for aarch64")?;
    assert!(interpreter.starts_with("/nix/store/"), "{interpreter}");
    assert!(interpreter.ends_with("/ld-linux-aarch64.so.1"), "{interpreter}");
    assert!(Path::new(&interpreter).is_file(), "{interpreter}");
    Ok(())
}

/// The image is a plain tar of the closure: what floe makes of it is tested elsewhere.
#[test]
fn the_example_serves_from_a_hardened_container() -> Result<()> {
    const IMAGE: &str = "localhost/node-server:test";
    let closure = node_server()?;
    let server = closure.root("node-server").context("the example is built")?;
    let paths = run_for_output(nix_command("nix-store").args(["--query", "--requisites"]).arg(server))?;
    let podman = Podman::shared()?;
    let archive = tempfile::NamedTempFile::new()?;
    run(Command::new("tar")
        .args(["--create", "--absolute-names", "--file"])
        .arg(archive.path())
        .args(paths.split_whitespace()))?;
    let entrypoint = format!("ENTRYPOINT [\"{}/bin/node-server\"]", server.display());
    run(podman.command().args(["import", "--change", &entrypoint]).arg(archive.path()).arg(IMAGE))?;
    let container = podman.run_detached(&Run {
        image: IMAGE,
        options: &["--user", "65532:65532"],
        port: Some(3000),
        ..Run::default()
    })?;
    assert!(container.fetch("/")?.contains("Hello from Node"), "{}", container.logs()?);
    let health = container.fetch("/health")?;
    for expected in ["\"uid\":65532", "\"rootReadOnly\":true", "\"capabilities\":\"0000000000000000\""] {
        assert!(health.contains(expected), "{health}");
    }
    Ok(())
}
