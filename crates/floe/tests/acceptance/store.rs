//! Nix, as a second opinion, and stores in temporary folders.

use std::path::{Path, PathBuf};
use std::process::Command;

use floe_testkit::machine::nix_command;

use crate::program::{answer, text};

/// A store whose `/nix/store` lies below a folder, made by Nix itself.
pub(crate) struct ChrootStore {
    pub(crate) root: PathBuf,
}

impl ChrootStore {
    pub(crate) fn new(root: &Path) -> Self {
        std::fs::create_dir_all(root).expect("a folder");
        Self { root: root.to_owned() }
    }

    /// One of Nix's programs, speaking of this store.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = nix_command(program);
        command.env("NIX_REMOTE", format!("local?root={}", self.root.display()));
        command
    }

    /// Adds a directory and returns its full path, below `/nix/store`.
    pub(crate) fn add(&self, directory: &Path) -> String {
        answer(self.command("nix-store").arg("--add").arg(directory))
    }

    /// Copies the closure of a path from this machine's store.
    pub(crate) fn copy(&self, path: &str) {
        let to = format!("local?root={}", self.root.display());
        answer(nix_command("nix").args(["copy", "--no-check-sigs", "--to", &to, path]));
    }

    /// Where the files of a full path lie.
    pub(crate) fn location(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// The closure of a path and what Nix registered as the NAR hash of each, by Nix's own word.
pub(crate) fn registered_hashes(path: &str) -> Vec<(String, String)> {
    let closure = answer(nix_command("nix-store").args(["--query", "--requisites", path]));
    let paths: Vec<&str> = closure.lines().collect();
    let hashes = answer(nix_command("nix-store").args(["--query", "--hash"]).args(&paths));
    let pairs: Vec<(String, String)> =
        paths.iter().zip(hashes.lines()).map(|(path, hash)| ((*path).to_owned(), hash.to_owned())).collect();
    assert_eq!((pairs.len(), hashes.lines().count()), (paths.len(), paths.len()));
    pairs
}

/// The SHA-256 of what `nix-store --dump` writes, in hexadecimal.
pub(crate) fn dumped_hash(location: &Path) -> String {
    let mut shell = nix_command("sh");
    shell.args(["-c", "nix-store --dump \"$1\" | sha256sum", "sh", text(location)]);
    answer(&mut shell).split(' ').next().expect("a hash").to_owned()
}
