//! Sources: every kind gives back what a destination of its kind took.

use std::fs;
use std::process::Command;

use floe_destination::SourceName;
use floe_testkit::engine::Engine;
use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::docker::Docker;
use floe_testkit::engine::podman::Podman;

use crate::image::{Compression, Image};
use crate::roles::{self, Role};

/// What a child process in an engine's environment says.
fn said(command: &mut Command, engine: Option<&dyn Engine>) -> String {
    let environment = engine.map(Engine::environment).unwrap_or_default();
    let output = command.envs(environment).output().expect("the test binary starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn read(source: &str, engine: Option<&dyn Engine>) -> String {
    said(&mut roles::command(Role::Read, source, None, Compression::None), engine)
}

#[test]
fn files_give_back_what_they_took() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let image = Image::busybox(Compression::Gzip, "a page\n");
    let (manifest, config) =
        (image.documents.document.descriptor.digest, image.documents.manifest.config.digest);
    for (word, forms) in [
        ("oci", vec!["", ":1.0", &format!("@{manifest}")]),
        ("oci-archive", vec!["", ":1.0", ":app:1.0", &format!(":{manifest}")]),
        ("docker-archive", vec!["", ":1.0", ":docker.io/library/app:1.0"]),
    ] {
        let place = format!("{word}:{}", folder.path().join(word).display());
        let mut deliver = roles::command(Role::DeliverWarm, &place, Some("app:1.0"), Compression::Gzip);
        let text = said(&mut deliver, None);
        assert!(text.contains("\ndelivered "), "{text}");
        for form in forms {
            let text = read(&format!("{place}{form}"), None);
            let name = "docker.io/library/app:1.0";
            let expected = format!("\nread root {manifest}, config {config}, layers 2, {name}\n");
            assert!(text.contains(&expected), "{place}{form}: {text}");
        }
        let text = read(&format!("{place}:2.0"), None);
        let expected = format!(
            "failed cannot choose an image in '{place}:2.0': no image is called '2.0'; there are 1.0"
        );
        assert!(text.contains(&expected), "{text}");
    }
    let missing: SourceName = "oci-archive:/nowhere.tar".parse().expect("a source");
    let error = missing.open(folder.path()).map(drop).expect_err("it is not there").to_string();
    assert_eq!(error, "cannot read /nowhere.tar");
}

/// Loads an image and reads it back; `keeps_manifest` says whether the engine keeps what it was given.
fn check_engine(engine: &dyn Engine, keeps_manifest: bool) {
    let spool = tempfile::tempdir().expect("a temporary directory");
    let image = Image::busybox(Compression::Gzip, "a page\n");
    let place = format!("{}:", engine.name());
    let name = "ghcr.io/team/app:2";
    let mut deliver = roles::command(Role::DeliverWarm, &place, Some(name), Compression::Gzip);
    let text = said(&mut deliver, Some(engine));
    assert!(text.contains("\ndelivered "), "{text}");
    let mut command = roles::command(Role::Read, &format!("{place}{name}"), None, Compression::None);
    let text = said(command.env("TMPDIR", spool.path()), Some(engine));
    let config = image.documents.manifest.config.digest;
    assert!(text.contains(&format!(", config {config}, layers 2, {name}\n")), "{text}");
    let manifest = image.documents.document.descriptor.digest;
    assert_eq!(text.contains(&format!("read root {manifest}")), keeps_manifest, "{text}");
    assert_eq!(fs::read_dir(spool.path()).expect("a directory").count(), 0, "nothing is left in the spool");

    let text = read(&format!("{place}nothing:1"), Some(engine));
    assert!(text.contains(&format!("failed '{} ", engine_program(engine))), "{text}");
}

fn engine_program(engine: &dyn Engine) -> &str {
    if engine.name() == "containerd" { "ctr" } else { engine.name() }
}

#[test]
fn podman_gives_back_the_config() {
    check_engine(&Podman::start().unwrap_or_else(|error| panic!("{error}")), false);
}

#[test]
fn docker_gives_back_the_config() {
    check_engine(&Docker::start().unwrap_or_else(|error| panic!("{error}")), false);
}

#[test]
fn containerd_gives_back_everything() {
    check_engine(&Containerd::start().unwrap_or_else(|error| panic!("{error}")), true);
}
