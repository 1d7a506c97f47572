//! The outputs of floe's own flake: checks, packages, overlay, development shell, template.

use std::process::Command;

use floe_testkit::engine::Engine as _;
use floe_testkit::engine::podman::Podman;
use floe_testkit::machine::nix_command;

use crate::floe_flake::{flake_reference, floe_flake, package_set, workspace};
use crate::project::{Project, run, succeed};

/// `nix` on floe's own flake, as a release has it: with its inputs locked.
fn nix_on_floe(words: &[&str], attribute: &str, rest: &[&str]) -> Command {
    let mut command = nix_command("nix");
    command.args(words).arg(flake_reference(floe_flake()) + attribute).args(rest);
    command
}

#[test]
fn nix_flake_check_passes() {
    let said = succeed(&mut nix_on_floe(&["flake", "check"], "", &[])).stderr;
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("warning:")).collect();
    // Nix learnt later that flakes have libraries.
    assert!(warnings.iter().all(|warning| warning.contains("unknown flake output 'lib'")), "{said}");
}

#[test]
fn the_package_is_the_program() {
    let version = succeed(&mut nix_on_floe(&["run"], "#floe", &["--", "--version"])).stdout;
    assert_eq!(version, format!("floe {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_overlay_brings_the_program_and_the_library() {
    let expression = format!(
        "let floe = builtins.getFlake \"{}\"; pkgs = import <nixpkgs> {{ }};
             all = pkgs // floe.overlays.default all pkgs;
         in [ all.floe.meta.mainProgram (all.floeLib.buildImage {{ name = \"a\"; root = [ all.bash ]; }}).imageTag ]",
        flake_reference(floe_flake())
    );
    let mut command = nix_command("nix");
    command.args(["eval", "--impure", "--json", "--expr", &expression]);
    command.arg("-I").arg(format!("nixpkgs={}", package_set().display()));
    assert_eq!(succeed(&mut command).stdout, "[\"floe\",\"latest\"]");
}

#[test]
fn an_image_needs_no_nixpkgs() {
    let project = Project::of_images("{ }");
    project.write(
        "flake.nix",
        r#"{
          inputs.floe.url = "github:floe-project/floe";
          inputs.floe.inputs.nixpkgs.follows = "";
          outputs = { self, floe }: {
            packages.x86_64-linux.default = floe.lib.x86_64-linux.buildImage { name = "site"; root = [ ./site ]; };
          };
        }"#,
    );
    project.write("site/index.html", "<h1>hello</h1>\n");
    let mut command = project.place(nix_command("nix"));
    command.args(["build", "--no-write-lock-file", "--override-input", "floe"]);
    succeed(command.arg(flake_reference(floe_flake())));
    assert!(project.path("result").is_file());
}

#[test]
fn the_template_is_an_image_that_runs() {
    let project = Project::of_images("{ }");
    std::fs::remove_file(project.path("flake.nix")).expect("a file");
    let template = flake_reference(floe_flake());
    let mut init = project.place(nix_command("nix"));
    succeed(init.args(["flake", "init", "--template", &template]));
    let written = std::fs::read(project.path("flake.nix")).expect("a flake");
    assert!(written == std::fs::read(workspace().join("nix/template/flake.nix")).expect("a template"));

    let podman = Podman::start().expect("podman");
    let mut command = project.nix(&["run", ".#run-with-podman"]);
    assert_eq!(succeed(command.envs(podman.environment())).stdout, "hello from an image that floe made\n");
    let refused = run(&mut project.nix(&["run", ".#export-image", "--", "dokcer", "app.tar"]), 2).stderr;
    assert!(
        refused.contains("hint: did you mean 'docker'?") || refused.contains("its images are"),
        "{refused}"
    );
}
