//! A user's project: a flake in a folder of its own, and the commands that its user types.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use floe_testkit::machine::nix_command;

use crate::floe_flake::{copy, flake_reference, floe_flake, package_set, workspace};

/// The inputs and outputs of a flake of images; `IMAGES` is an attribute set of them.
const FLAKE: &str = r#"{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  inputs.floe.url = "github:floe-project/floe";
  inputs.floe.inputs.nixpkgs.follows = "nixpkgs";

  outputs = { self, nixpkgs, floe }: let
    inherit (nixpkgs.lib) genAttrs;
    systems = [ "x86_64-linux" "aarch64-linux" ];
  in {
    packages = genAttrs systems (system: let
      pkgs = nixpkgs.legacyPackages.${system};
      inherit (floe.lib.${system}) buildImage dockerTools nix2container;
    in IMAGES);
    apps = genAttrs systems (system: floe.lib.${system}.apps { inherit (self.packages.${system}) docker; });
  };
}
"#;

/// A flake's folder, with a record and a cache of its own for floe.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

/// What a program wrote.
pub(crate) struct Written {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// A flake whose packages are `images`, a Nix expression with `pkgs` and floe's functions in scope.
    pub(crate) fn of_images(images: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        project.write("flake.nix", &FLAKE.replace("IMAGES", images));
        project
    }

    /// A copy of an example, unchanged.
    pub(crate) fn of_example(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(&workspace().join("examples").join(name), &folder.path().join("project"));
        Self { folder }
    }

    /// A path in the project.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("project").join(name)
    }

    /// Writes a file of the project, with the folders on the way to it.
    pub(crate) fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in the project")).expect("folders");
        std::fs::write(&path, contents).expect("a file");
        path
    }

    /// `nix` with these words; words after `--` belong to the program that it runs.
    pub(crate) fn nix(&self, words: &[&str]) -> Command {
        let mut command = self.place(nix_command("nix"));
        let split = words.iter().position(|word| *word == "--").unwrap_or(words.len());
        // The inputs come before what a program of `nix run` is given.
        let named = split.min(2);
        command.args(&words[..named]).args(inputs()).args(&words[named..]);
        command
    }

    /// `nix` with these words, and builds in Nix's sandbox: only the store, without network.
    pub(crate) fn nix_in_sandbox(&self, words: &[&str]) -> Command {
        let mut command = self.nix(words);
        command.args(["--option", "sandbox", "true", "--option", "sandbox-fallback", "false"]);
        command
    }

    /// Writes the lock file, with the inputs of this machine.
    pub(crate) fn lock(&self) -> Command {
        let mut command = self.place(nix_command("nix"));
        command.args(["flake", "lock"]);
        for (input, flake) in [("nixpkgs", package_set().as_path()), ("floe", floe_flake())] {
            command.args(["--override-input", input, &flake_reference(flake)]);
        }
        command
    }

    /// floe with these words, and Nix as the tests configure it.
    pub(crate) fn floe(&self, words: &[&str]) -> Command {
        let mut command = self.place(Command::new(env!("CARGO_BIN_EXE_floe")));
        // The environment in which `nix` is called is what configures it.
        for (name, value) in nix_command("nix").get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(words);
        command
    }

    /// Any program, in the project's folder.
    pub(crate) fn place(&self, mut command: Command) -> Command {
        command.current_dir(self.path("")).stdin(Stdio::null());
        command.env_remove("SOURCE_DATE_EPOCH").env_remove("NO_COLOR");
        command.env("XDG_DATA_HOME", self.folder.path().join("data"));
        command.env("XDG_CACHE_HOME", self.folder.path().join("cache"));
        command
    }
}

/// The words that give a flake its inputs on this machine.
fn inputs() -> Vec<String> {
    let mut words = vec!["--no-write-lock-file".to_owned()];
    for (input, flake) in [("nixpkgs", package_set().as_path()), ("floe", floe_flake())] {
        words.extend(["--override-input".to_owned(), input.to_owned(), flake_reference(flake)]);
    }
    words
}

/// Runs to the end and expects success.
pub(crate) fn succeed(command: &mut Command) -> Written {
    run(command, 0)
}

/// Runs to the end and expects this exit code.
pub(crate) fn run(command: &mut Command, code: i32) -> Written {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let Output { status, stdout, stderr } = output;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let written = Written { stdout: text(&stdout), stderr: text(&stderr) };
    assert_eq!(status.code(), Some(code), "{command:?}\n{}\n{}", written.stdout, written.stderr);
    written
}
