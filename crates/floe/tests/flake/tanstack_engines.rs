//! The production archive of `examples/tanstack-bff` in the other engines, for the other system, and again.

use std::fs;
use std::process::Command;

use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::docker::Docker;
use floe_testkit::engine::{Engine, Run};
use floe_testkit::service::port::free_port;

use crate::project::{Project, succeed};
use crate::tanstack::{IMAGE, example, variables};

/// Loads the archive by the guide's words and asks the server how it is.
fn serves(engine: &dyn Engine, load: &[&str], image: &str) {
    let project = example();
    succeed(&mut project.nix(&["build", ".#docker"]));
    let archive = fs::File::open(project.path("result")).expect("an archive");
    succeed(engine.command().args(load).stdin(archive));
    let port = free_port();
    let values = variables(port, "http://127.0.0.1:9");
    let options: Vec<&str> = values.iter().flat_map(|variable| ["--env", variable]).collect();
    let container =
        engine.run_detached(&Run { image, options: &options, port: Some(port), ..Run::default() });
    let health = container.expect("it starts").fetch("/health").expect("it answers");
    assert!(health.contains("\"status\":\"ok\""), "{}: {health}", engine.name());
}

#[test]
fn docker_loads_and_runs_it() {
    serves(&Docker::start().expect("docker"), &["load"], "tanstack-bff:latest");
}

#[test]
fn containerd_imports_and_runs_it() {
    serves(&Containerd::start().expect("containerd"), &["image", "import", "-"], IMAGE);
}

fn skopeo(project: &Project, words: &[&str]) -> String {
    succeed(project.place(Command::new("skopeo")).args(words)).stdout.trim().to_owned()
}

#[test]
fn skopeo_reads_it_and_the_image_for_aarch64() {
    let project = example();
    let platform = ["inspect", "--format", "{{.Os}}/{{.Architecture}}", "docker-archive:result"];
    for (system, expected) in [("x86_64-linux", "linux/amd64"), ("aarch64-linux", "linux/arm64")] {
        succeed(&mut project.nix(&["build", ".#docker", "--system", system]));
        assert_eq!(skopeo(&project, &platform), expected);
        skopeo(&project, &["--insecure-policy", "copy", "docker-archive:result", "dir:copied"]);
        assert!(project.path("copied/manifest.json").is_file());
    }
}

#[test]
fn the_same_source_gives_the_same_digest() {
    let digest = || {
        let project = Project::of_example("tanstack-bff");
        let inspected = succeed(&mut project.nix(&["run", ".#docker.inspect", "--", "--json"])).stdout;
        let inspected: serde_json::Value = serde_json::from_str(&inspected).expect("JSON");
        inspected["digest"].clone()
    };
    assert_eq!(digest(), digest());
    let project = Project::of_example("tanstack-bff");
    succeed(&mut project.nix(&["build", ".#docker"]));
    // Nix packs it again, and compares.
    succeed(&mut project.nix(&["build", ".#docker", "--rebuild"]));
}
