//! Images loaded into real engines, listed under the names that are documented, and run.

use std::process::Command;

use floe_destination::{EngineKind, ImageName};
use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::docker::Docker;
use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine, Run};

use crate::image::Compression;
use crate::roles::{self, Role};

/// Ends a child and returns what it wrote.
fn finish(command: &mut Command, engine: &dyn Engine) -> String {
    let output = command.envs(engine.environment()).output().expect("the test binary starts");
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Loads the image in both ways under several names, and runs it.
fn check(engine: &dyn Engine, kind: EngineKind, compressions: &[Compression]) {
    for (compression, name) in compressions.iter().zip(["app:1.0", "ghcr.io/team/app:2", "localhost/app"]) {
        let name: ImageName = name.parse().expect("an image name");
        for role in [Role::DeliverCold, Role::DeliverWarm] {
            let destination = format!("{kind}:");
            let text = finish(
                &mut roles::command(role, &destination, Some(&name.to_string()), *compression),
                engine,
            );
            let listed = name.in_engine(kind);
            assert!(text.contains(&format!("\ndelivered {listed}\n")), "{kind} {compression:?}: {text}");
            let images = engine.images().expect("it lists");
            assert!(images.contains(&listed), "{kind} {compression:?}: {images:?}");
        }
        // podman and docker find the name as the user wrote it.
        let wanted = if kind == EngineKind::Containerd { name.in_engine(kind) } else { name.to_string() };
        let entrypoint: &[&str] = if kind == EngineKind::Containerd { &["/bin/busybox"] } else { &[] };
        let arguments = [entrypoint, &["cat", "/www/index.html"]].concat();
        let output = engine.run(&Run { image: &wanted, arguments: &arguments, ..Run::default() });
        assert_eq!(output.expect("it runs").stdout, "a page\n");

        let script = "id -u; echo $GREETING; touch /tmp/x && echo tmp; touch /etc/x 2>/dev/null || echo read-only; \
                      grep -E 'CapEff|NoNewPrivs' /proc/self/status; exit 7";
        let mut command = roles::command(Role::Run, kind.name(), Some(&wanted), Compression::None);
        roles::with_arguments(&mut command, &["sh", "-c", script]);
        let text = finish(&mut command, engine);
        for expected in [
            "1000\ngood day\ntmp\nread-only\n",
            "CapEff:\t0000000000000000",
            "NoNewPrivs:\t1",
            "ended with exit status: 7",
        ] {
            assert!(text.contains(expected), "{kind}: no {expected} in {text}");
        }
    }
}

#[test]
fn podman_takes_images() {
    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    check(&podman, EngineKind::Podman, &[Compression::Zstd, Compression::Gzip, Compression::None]);
}

#[test]
fn docker_takes_images() {
    let docker = Docker::start().unwrap_or_else(|error| panic!("{error}"));
    check(&docker, EngineKind::Docker, &[Compression::Gzip, Compression::None]);
}

#[test]
fn containerd_takes_images() {
    let containerd = Containerd::start().unwrap_or_else(|error| panic!("{error}"));
    check(&containerd, EngineKind::Containerd, &[Compression::Zstd, Compression::Gzip, Compression::None]);
    let text =
        finish(&mut roles::command(Role::DeliverWarm, "containerd:", None, Compression::None), &containerd);
    assert!(text.contains("cannot take an image without a name: write containerd:NAME"), "{text}");
}

#[test]
fn an_old_docker_says_that_it_does_not_read_zstd() {
    let docker = Docker::start().unwrap_or_else(|error| panic!("{error}"));
    let server = docker.command().args(["version", "--format", "{{.Server.Version}}"]).output();
    let server = String::from_utf8(server.expect("docker is installed").stdout).expect("text");
    let is_new =
        server.split('.').next().and_then(|major| major.parse::<u32>().ok()).expect("a version") >= 23;
    let text = finish(&mut roles::command(Role::Detect, "", None, Compression::None), &docker);
    assert!(text.contains(&format!("found podman; docker {is_new}")), "{text}");
    let text = finish(&mut roles::command(Role::DeliverWarm, "docker:app", None, Compression::Zstd), &docker);
    assert_eq!(text.contains("\ndelivered app:latest\n"), is_new, "{text}");
    assert_eq!(text.contains("failed 'docker load"), !is_new, "{text}");
}

#[test]
fn an_absent_program_and_a_dead_daemon_are_named() {
    let empty = tempfile::tempdir().expect("a temporary directory");
    for (kind, path_is_empty, expected) in [
        (EngineKind::Podman, true, "failed 'podman' is not installed"),
        (EngineKind::Docker, true, "failed 'docker' is not installed"),
        (EngineKind::Containerd, true, "failed 'ctr' is not installed"),
        (EngineKind::Docker, false, "failed 'docker load --quiet' failed with exit status: 1:\n"),
        (EngineKind::Containerd, false, "failed 'ctr images import -' failed with exit status: 1:\n"),
    ] {
        let mut command = roles::command(Role::DeliverWarm, &format!("{kind}:app"), None, Compression::None);
        let socket = empty.path().join("socket").display().to_string();
        command.env("DOCKER_HOST", format!("unix://{socket}")).env("CONTAINERD_ADDRESS", socket);
        if path_is_empty {
            // The image in the child is made of busybox, which is found without `PATH` in no daemon directory.
            std::os::unix::fs::symlink(
                floe_testkit::service::program::find("busybox").unwrap_or_else(|error| panic!("{error}")),
                empty.path().join("busybox"),
            )
            .or_else(
                |error| if error.kind() == std::io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) },
            )
            .expect("it is writable");
            command.env("PATH", empty.path());
        }
        let output = command.output().expect("the test binary starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(expected), "{kind}: {text}");
    }
}
