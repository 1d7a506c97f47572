//! Every mistake gets a line that says what is wrong, a hint, and its exit code.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::program::{floe, transcript};

#[test]
fn words_that_make_no_sense() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut shown = String::new();
    for words in [
        &[] as &[&str],
        &["biuld"],
        &["--frobnicate"],
        &["build", "--entrypiont", "x"],
        &["build", "--port", "70000"],
        &["build", "--user", "nobody"],
        &["build", "--env", "A"],
        &["build", "--created", "yesterday"],
        &["build", "--compression", "xz"],
        &["build", "--layering", "stabel"],
        &["build", "--max-layers", "128"],
        &["build", "--add-file", "motd"],
        &["build", "--healthcheck-interval", "1s"],
        &["build", "--color", "sometimes"],
        &["build", "--quiet", "--verbose"],
        &["build", "./x", "--to", "app.tar"],
        &["build", "./x", "--to", "oci:"],
        &["build", "./x", "--to", "oci:dir:.x"],
        &["build", "./x", "--to", "podman:App"],
        &["build", "./x", "--to", "docker://registry.example.com/App"],
        &["build", "./x", "--to", "docker://registry.example.com/app@sha256:0"],
        &["load", "rkt"],
        &["load", "dokcer", "app"],
        &["inspect", "./nothing"],
        &["derivation"],
        &["export", "app"],
        &["remove"],
        &["build", "--json", "--port", "x"],
    ] {
        shown.push_str(&transcript(directory.path(), words));
        shown.push('\n');
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn images_that_are_not_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut shown = String::new();
    let mut add = |words: &[&str]| {
        shown.push_str(&transcript(directory.path(), words));
        shown.push('\n');
    };
    add(&["build"]);
    add(&["build", "app"]);
    add(&["build", "--file", "missing.toml"]);
    add(&["build", "./result", "--add-file", "/etc/motd@missing"]);
    let file = "[image.app]\ncontents = ['./result']\n[image.web]\n";
    std::fs::write(directory.path().join("floe.toml"), file).expect("a writable directory");
    add(&["build"]);
    add(&["build", "appp"]);
    add(&["build", "something"]);
    add(&["build", "web"]);
    insta::assert_snapshot!(shown);
}

#[test]
fn malformed_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut shown = String::new();
    for (file, words) in [
        ("[image.app\n", &["build"] as &[&str]),
        ("[image.app]\nentrypiont = ['/bin/app']\n", &["build"]),
        ("[image.app]\ncmd = 'run'\n", &["plan"]),
        ("[image.app]\nports = [70000]\nuser = 'nobody'\n", &["build"]),
        ("[image.app]\ninherits = 'base'\n[image.base]\ninherits = 'app'\n", &["build"]),
        ("[image.app]\nentrypiont = ['/bin/app']\n", &["build", "--json"]),
    ] {
        std::fs::write(directory.path().join("floe.toml"), file).expect("a writable directory");
        shown.push_str(&transcript(directory.path(), words));
        shown.push('\n');
    }
    std::fs::write(directory.path().join("floe.toml"), b"\xff").expect("a writable directory");
    shown.push_str(&transcript(directory.path(), &["build"]));
    insta::assert_snapshot!(shown);
}

#[test]
fn colour_comes_only_when_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = |words: &[&str]| floe(directory.path(), words).output().expect("floe runs").stderr;
    assert!(!error(&["build", "app"]).contains(&0x1b));
    assert!(error(&["build", "app", "--color", "always"]).starts_with(b"\x1b["));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = floe(directory.path(), &["completions", "bash"]).stdout(writer).output().expect("floe runs");
    assert_eq!((output.status.code(), output.stderr), (Some(3), Vec::new()));
}

#[test]
fn a_full_disk_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
    let mut child = floe(directory.path(), &["completions", "bash"])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .expect("floe runs");
    let stderr = child.stderr.take().expect("a pipe was asked for");
    let lines: Vec<String> = BufReader::new(stderr).lines().map(|line| line.expect("text")).collect();
    assert_eq!(child.wait().expect("floe ends").code(), Some(1));
    assert_eq!(lines.first().map(String::as_str), Some("error: cannot write to standard output"));
}
