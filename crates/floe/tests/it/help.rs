//! What floe says when it is asked.

use crate::program::transcript;

const COMMANDS: &[&str] = &[
    "build",
    "lock",
    "plan",
    "run",
    "load",
    "push",
    "export",
    "extract",
    "copy",
    "pull",
    "images",
    "index",
    "index create",
    "inspect",
    "remove",
    "login",
    "logout",
    "digest",
    "manifest",
    "config",
    "tags",
    "tag",
    "delete",
    "history",
    "diff",
    "rollback",
    "gc",
    "new",
    "doctor",
    "completions",
    "man",
];

#[test]
fn help_teaches_by_example() {
    let directory = tempfile::tempdir().expect("a directory");
    insta::assert_snapshot!("help", transcript(directory.path(), &["--help"]));
    for command in COMMANDS {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = transcript(directory.path(), &words);
        assert!(help.contains("\nExamples:\n"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        insta::assert_snapshot!(format!("help-{}", command.replace(' ', "-")), help);
    }
}

#[test]
fn version_is_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let expected =
        format!("$ floe --version\nexit code: 0\n--- stdout\nfloe {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(transcript(directory.path(), &["--version"]), expected);
}
