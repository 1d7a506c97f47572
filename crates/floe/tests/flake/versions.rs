//! The flake in newer Nix than Debian 12's: the same image comes out of each, in the sandbox.

use std::path::Path;

use floe_testkit::machine::NixRoot;

use crate::floe_flake::{copy, floe_flake};
use crate::project::{Project, succeed};

/// A flake without nixpkgs: what these roots can build is floe's own.
const FLAKE: &str = r#"{
  inputs.floe.url = "github:floe-project/floe";
  inputs.floe.inputs.nixpkgs.follows = "";
  outputs = { self, floe }: let
    inherit (floe.lib.x86_64-linux) buildImage dockerTools nix2container;
    package = floe.packages.x86_64-linux.floe;
  in {
    packages.x86_64-linux = {
      default = buildImage {
        name = "site";
        contents = [ package ];
        root = [ ./site ];
        entrypoint = [ "${package}/bin/floe" ];
      };
      layered = dockerTools.streamLayeredImage { name = "layered"; contents = [ package ]; };
      contained = nix2container.buildImage {
        name = "contained";
        copyToRoot = ./site;
        perms = [ { path = ./site; mode = "0600"; } ];
      };
    };
  };
}
"#;

/// Builds all of it, packs the archive again to compare, and shows what the archive refers to and what it is.
const SCRIPT: &str = r"
set -euo pipefail
cd /mnt/project
inputs='--no-write-lock-file --override-input floe path:/mnt/floe'
nix --version
nix build $inputs .#layered .#contained .#default
nix build $inputs --rebuild .#default
nix build $inputs .#default
nix path-info --recursive ./result
nix run $inputs .#default.inspect -- --json
";

/// Runs the script; returns what it wrote, a line each.
fn run(suite: &str, folder: &Path) -> Vec<String> {
    let root = NixRoot::of_release(suite).unwrap_or_else(|error| panic!("{error:?}"));
    let mut command = root.command(folder, "/bin/bash");
    command.args(["-c", SCRIPT]).env(
        "NIX_CONFIG",
        "experimental-features = nix-command flakes\nsandbox = true\nsandbox-fallback = false\n\
         build-users-group =\nsubstituters =\nflake-registry =\nwarn-dirty = false\nfilter-syscalls = false\n",
    );
    succeed(&mut command).stdout.lines().map(str::to_owned).collect()
}

#[test]
fn newer_nix_makes_the_same_image() {
    let project = Project::of_images("{ }");
    project.write("flake.nix", FLAKE);
    project.write("site/index.html", "<h1>hello</h1>\n");
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(&project.path(""), &folder.path().join("project"));
    copy(floe_flake(), &folder.path().join("floe"));

    let mut inspect = project.nix(&["run", ".#default.inspect"]);
    let here = succeed(inspect.args(["--", "--json"])).stdout;
    for (suite, version) in [("trixie", "nix (Nix) 2.26"), ("sid", "nix (Nix) 2.3")] {
        let lines = run(suite, folder.path());
        let [said, closure @ .., inspected] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(said.starts_with(version), "{said}");
        // What an archive says of store paths is no reference, which Nix 2.8 could not be told.
        assert!(matches!(closure, [only] if only.ends_with("-site.image.tar")), "{closure:?}");
        assert_eq!(inspected.trim(), here.trim(), "{said}");
    }
}
