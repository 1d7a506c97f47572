//! `buildImage` makes an archive that every engine loads, out of nothing but floe and the store.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::docker::Docker;
use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine, Run};
use serde_json::Value;

use crate::project::{Project, succeed};

/// An image that says who it is, with every key that changes what is run.
const SPEAKER: &str = r#"rec {
  docker = buildImage {
    name = "speaker";
    tag = "1.0";
    entrypoint = [ "${pkgs.bash}/bin/bash" "-c" ];
    cmd = [ "echo $GREETING $UID $PWD $(</etc/motd)" ];
    env.GREETING = "hello";
    files."/etc/motd" = "from a file\n";
    workdir = "/work";
    labels."org.example.kind" = "speaker";
  };
  small = buildImage { name = "small"; output = "recipe"; contents = [ ./site ]; root = [ ./site ]; };
}"#;

/// What the speaker says.
const SPEECH: &str = "hello 1000 /work from a file\n";

fn speaker() -> Project {
    let project = Project::of_images(SPEAKER);
    project.write("site/index.html", "<h1>hello</h1>\n");
    project
}

#[test]
fn every_engine_loads_the_archive_and_runs_it() {
    let project = speaker();
    succeed(&mut project.nix_in_sandbox(&["build", ".#docker"]));
    let archive = || File::open(project.path("result")).expect("the archive is there");
    let engines: [(Box<dyn Engine>, &[&str], &str); 3] = [
        (Box::new(Podman::start().expect("podman")), &["load"], "docker.io/library/speaker:1.0"),
        (Box::new(Docker::start().expect("docker")), &["load"], "speaker:1.0"),
        (
            Box::new(Containerd::start().expect("containerd")),
            &["image", "import", "-"],
            "docker.io/library/speaker:1.0",
        ),
    ];
    for (engine, load, image) in engines {
        succeed(engine.command().args(load).stdin(archive()));
        let said = engine.run(&Run { image, ..Run::default() }).expect("it runs");
        assert_eq!(said.stdout, SPEECH, "{}", engine.name());
    }
}

#[test]
fn other_programs_read_the_archive() {
    let project = speaker();
    succeed(&mut project.nix(&["build", ".#docker"]));
    let skopeo = |words: &[&str]| {
        let mut command = project.place(Command::new("skopeo"));
        command.args(words);
        succeed(&mut command).stdout
    };
    let inspected: Value =
        serde_json::from_str(&skopeo(&["inspect", "docker-archive:result"])).expect("JSON");
    assert_eq!(inspected["Labels"]["org.example.kind"], "speaker");
    assert_eq!(inspected["Architecture"], "amd64");
    skopeo(&["--insecure-policy", "copy", "docker-archive:result", "dir:copied"]);
    let manifest = fs::read(project.path("copied/manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["layers"].as_array().map(Vec::len), inspected["Layers"].as_array().map(Vec::len));
}

#[test]
fn the_same_inputs_give_the_same_bytes_in_and_out_of_the_sandbox() {
    let project = speaker();
    succeed(&mut project.nix(&["build", ".#docker"]));
    let first = fs::read_link(project.path("result")).expect("a link");
    // `--rebuild` compares the bytes with those that are there.
    succeed(&mut project.nix_in_sandbox(&["build", ".#docker", "--rebuild"]));
    succeed(project.nix(&["build", ".#docker", "--rebuild"]).args(["--option", "cores", "1"]));
    assert!(first.to_string_lossy().ends_with("-speaker.image.tar"), "{}", first.display());
}

#[test]
fn a_recipe_holds_no_layer_and_keeps_the_contents() {
    let project = speaker();
    succeed(&mut project.nix_in_sandbox(&["build", ".#small"]));
    let recipe = fs::read_to_string(project.path("result")).expect("a recipe");
    assert!(recipe.starts_with("{\"floe-recipe\":1,"), "{recipe}");
    assert!(recipe.len() < 8000, "{} bytes", recipe.len());
    let result = fs::canonicalize(project.path("result")).expect("a link");
    let closure = succeed(project.nix(&["path-info", "--recursive"]).arg(&result)).stdout;
    assert!(closure.lines().any(|path| path.ends_with("-site")), "{closure}");

    // The archive beside it is the same image.
    let inspected = succeed(&mut project.nix(&["run", ".#small.inspect", "--", "--json"])).stdout;
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    succeed(&mut project.nix(&["build", ".#small.archive"]));
    let mut tar = project.place(Command::new("tar"));
    let index = succeed(tar.args(["--extract", "--to-stdout", "--file=result", "index.json"])).stdout;
    let index: Value = serde_json::from_str(&index).expect("JSON");
    assert_eq!(index["manifests"][0]["digest"], inspected["digest"]);
}

#[test]
fn the_build_needs_nothing_but_floe_and_the_contents() {
    let project = Project::of_images(r#"{ docker = buildImage { name = "site"; contents = [ ./site ]; }; }"#);
    project.write("site/index.html", "<h1>hello</h1>\n");
    let shown = succeed(&mut project.nix(&["show-derivation", ".#docker"])).stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let (_, derivation) = shown.as_object().and_then(|all| all.iter().next()).expect("a derivation");
    assert_eq!(derivation["inputDrvs"], serde_json::json!({}), "{derivation}");
    let sources = derivation["inputSrcs"].as_array().expect("a list");
    let mut names: Vec<&str> =
        sources.iter().filter_map(|path| path.as_str()?.rsplit_once('-').map(|(_, name)| name)).collect();
    names.sort_unstable();
    assert_eq!(names, ["floe", "site"]);
    assert!(derivation["builder"].as_str().is_some_and(|builder| builder.ends_with("-floe")), "{derivation}");
    let builder = derivation["builder"].as_str().map(Path::new).expect("a builder");
    assert!(builder.is_file(), "{}", builder.display());
}
