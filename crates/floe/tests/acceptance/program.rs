//! Runs floe and the programs that judge its work, in folders of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use floe_testkit::service::program::find;

/// Variables by which the machine that runs the tests could change what floe does.
const NOT_PASSED_ON: [&str; 6] =
    ["CLICOLOR_FORCE", "COLUMNS", "NIX_REMOTE", "NO_COLOR", "RUST_BACKTRACE", "SOURCE_DATE_EPOCH"];

/// Debian's packages of programs that the test kit does not know.
const PACKAGES: [(&str, &str); 4] =
    [("nix", "nix-bin"), ("nix-store", "nix-bin"), ("strace", "strace"), ("umoci", "umoci")];

/// A folder to work in, with a record, a memo and a cache of its own.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

/// What a program wrote.
pub(crate) struct Written {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A path in the working folder, which need not exist.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    /// A path in the working folder as text.
    pub(crate) fn text(&self, name: &str) -> String {
        text(&self.path(name)).to_owned()
    }

    /// Where floe keeps its memo and blobs.
    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Where floe keeps its record.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a file of the working folder, with the folders on the way to it.
    pub(crate) fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("folders");
        std::fs::write(&path, contents).expect("a file");
        path
    }

    /// floe with these words, in the working folder.
    pub(crate) fn floe(&self, words: &[&str]) -> Command {
        floe(self.folder.path(), words)
    }
}

/// floe with these words, working and keeping things below `folder`.
pub(crate) fn floe(folder: &Path, words: &[&str]) -> Command {
    std::fs::create_dir_all(folder.join("work")).expect("a folder to work in");
    let mut command = Command::new(env!("CARGO_BIN_EXE_floe"));
    command.args(words).current_dir(folder.join("work")).stdin(Stdio::null());
    for variable in NOT_PASSED_ON {
        command.env_remove(variable);
    }
    command.env("XDG_DATA_HOME", folder.join("data")).env("XDG_CACHE_HOME", folder.join("cache"));
    command
}

/// A program of Debian's with these words.
pub(crate) fn program(name: &str, words: &[&str]) -> Command {
    let found = find(name).unwrap_or_else(|error| {
        let package = PACKAGES.iter().find(|(program, _)| *program == name).map(|(_, package)| *package);
        match package {
            Some(package) => panic!("`{name}` is not installed; as root: apt-get install {package}"),
            None => panic!("{error}"),
        }
    });
    let mut command = Command::new(found);
    command.args(words);
    command
}

/// Runs to the end and expects success.
pub(crate) fn succeed(command: &mut Command) -> Written {
    let written = run(command, 0);
    assert!(!written.stderr.contains("warning:"), "{command:?}: {}", written.stderr);
    written
}

/// Runs to the end and expects success; returns standard output as text, trimmed.
pub(crate) fn answer(command: &mut Command) -> String {
    String::from_utf8(run(command, 0).stdout).expect("it writes text").trim().to_owned()
}

/// Runs to the end and expects this exit code.
pub(crate) fn run(command: &mut Command, code: i32) -> Written {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let Output { status, stdout, stderr } = output;
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let shown = String::from_utf8_lossy(&stdout[..stdout.len().min(4096)]);
    assert_eq!(status.code(), Some(code), "{command:?}\nstdout: {shown}\nstderr: {stderr}");
    Written { stdout, stderr }
}

/// A path as a word of a command line.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the tests' paths are UTF-8")
}
