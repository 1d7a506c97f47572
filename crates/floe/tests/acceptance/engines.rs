//! The Node server runs in podman, docker and containerd: as uid 1000, on a read-only root, without capabilities.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::docker::Docker;
use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine, Run};
use floe_testkit::http::client;
use floe_testkit::service::port::free_port;
use serde_json::{Value, json};

use crate::program::{Desk, answer, run, succeed};
use crate::shared_images::{NAME, node_server_path, shared_images};

/// How long a server may take to answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Says who runs, what it may do, and where it can write.
const WHO_AM_I: &str = "\
    const fs = require('fs');\
    const attempt = (path) => { try { fs.writeFileSync(path, ''); return 'written' } catch (e) { return e.code } };\
    const status = fs.readFileSync('/proc/self/status', 'utf8');\
    console.log(JSON.stringify({ uid: process.getuid(), gid: process.getgid(), root: attempt('/probe'),\
      home: attempt(process.env.HOME + '/probe'), tmp: attempt('/tmp/probe'),\
      capabilities: status.match(/CapEff:\\s*(\\w+)/)[1], newPrivileges: status.match(/NoNewPrivs:\\s*(\\w+)/)[1],\
      words: process.argv.slice(1) }));";

/// Runs a loaded image hardened and asks it for its page and its health.
fn serves(engine: &dyn Engine, image: &str) {
    let port = free_port();
    let setting = format!("PORT={port}");
    let options = ["--env", &setting];
    let run = Run { image, options: &options, port: Some(port), ..Run::default() };
    let container = engine.run_detached(&run).unwrap_or_else(|error| panic!("{image}: {error}"));
    let page = |path| container.fetch(path).unwrap_or_else(|error| panic!("{image}: {error}"));
    assert!(page("/").contains("<h1>Hello from Node v"), "{image}");
    check_health(&page("/health"), image);
}

fn check_health(health: &str, image: &str) {
    let health: Value = serde_json::from_str(health).expect("JSON");
    let seen = ["status", "uid", "gid", "rootReadOnly", "capabilities"].map(|key| &health[key]);
    let expected = [json!("ok"), json!(1000), json!(1000), json!(true), json!("0000000000000000")];
    assert_eq!(seen.map(Clone::clone), expected, "{image}: {health}");
}

/// Loads the archive from standard input, as `podman load < file` does, and runs it.
fn runs_from_a_file(engine: &dyn Engine, load: &[&str], listed: &str) {
    let archive = File::open(shared_images().docker_archive()).expect("the archive is there");
    succeed(engine.command().args(load).stdin(archive));
    assert_eq!(engine.images().expect("it lists"), [listed]);
    serves(engine, listed);
}

/// Loads a recorded image with `floe load`, and runs it.
fn runs_from_the_record(engine: &dyn Engine, listed: &str) {
    let mut load = shared_images().floe(&["load", engine.name(), "recorded:2"]);
    let said = succeed(load.envs(engine.environment()));
    assert_eq!(said.stderr.lines().last(), Some(format!("loaded {listed}").as_str()));
    assert!(engine.images().expect("it lists").contains(&listed.to_owned()), "{listed}");
    serves(engine, listed);
}

/// Loads and runs with `floe run`, in the foreground: closed by default, opened by flags.
fn floe_runs(engine: &dyn Engine) {
    let floe_run = |words: &[&str]| {
        let mut command = shared_images().floe(&["run", "node", "--engine", engine.name()]);
        command.args(words).envs(engine.environment());
        command
    };
    assert!(answer(&mut floe_run(&[])).starts_with("v18."), "its own cmd");
    let seen = answer(&mut floe_run(&["--", "-e", WHO_AM_I, "a b", "c"]));
    let seen: Value = serde_json::from_str(&seen).expect("JSON");
    let expected = json!({
        "uid": 1000, "gid": 1000, "root": "EROFS", "home": "EROFS", "tmp": "written",
        "capabilities": "0000000000000000", "newPrivileges": "1", "words": ["a b", "c"],
    });
    assert_eq!(seen, expected, "{}", engine.name());
    let seen = answer(&mut floe_run(&["--writable", "--new-privileges", "--", "-e", WHO_AM_I]));
    let seen: Value = serde_json::from_str(&seen).expect("JSON");
    assert_eq!((&seen["home"], &seen["root"]), (&"written".into(), &"EACCES".into()), "{seen}");
    let ended = run(&mut floe_run(&["--", "-e", "process.exit(7)"]), 1);
    assert!(ended.stderr.contains("error: node:latest ended with exit code 7\n"), "{}", ended.stderr);
}

#[test]
fn podman_runs_the_file() {
    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    runs_from_a_file(&podman, &["load", "--quiet"], &format!("docker.io/library/{NAME}"));
}

#[test]
fn podman_runs_the_record_and_a_direct_build() {
    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    runs_from_the_record(&podman, "localhost/recorded:2");
    let mut build = shared_images().floe(&["build", &node_server_path(), "--to", "podman:direct:3"]);
    succeed(build.envs(podman.environment()));
    serves(&podman, "localhost/direct:3");
    floe_runs(&podman);
}

#[test]
fn docker_runs_the_file() {
    let docker = Docker::start().unwrap_or_else(|error| panic!("{error}"));
    let version = answer(docker.command().args(["version", "--format", "{{.Server.Version}}"]));
    assert!(version.starts_with("20.10."), "Debian 12's docker is wanted, which reads no zstd: {version}");
    runs_from_a_file(&docker, &["load"], NAME);
}

#[test]
fn docker_runs_the_record() {
    let docker = Docker::start().unwrap_or_else(|error| panic!("{error}"));
    runs_from_the_record(&docker, "recorded:2");
    floe_runs(&docker);
}

#[test]
fn containerd_runs_the_file() {
    let containerd = Containerd::start().unwrap_or_else(|error| panic!("{error}"));
    runs_from_a_file(&containerd, &["image", "import", "-"], &format!("docker.io/library/{NAME}"));
}

#[test]
fn containerd_runs_the_record() {
    let containerd = Containerd::start().unwrap_or_else(|error| panic!("{error}"));
    runs_from_the_record(&containerd, "docker.io/library/recorded:2");
    floe_runs(&containerd);
}

#[test]
fn a_container_in_the_background_needs_its_environment() {
    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    let desk = Desk::new();
    let words = ["build", &node_server_path(), "--name", "web", "--port", "3000"];
    succeed(desk.floe(&words).args(["--required-env", "TOKEN", "--required-env", "PORT"]));

    let name = format!("floe-acceptance-{}", std::process::id());
    let host = free_port();
    let publish = format!("127.0.0.1:{host}:4000");
    let floe_run = |words: &[&str]| {
        let mut command = desk.floe(&["run", "web", "--engine", "podman", "--detach", "--name", &name]);
        command.args(["--publish", &publish]).args(words).envs(podman.environment());
        command.env_remove("PORT").env_remove("TOKEN");
        command
    };
    desk.write("half.env", "# where it listens\nPORT=4000\n");
    desk.write("whole.env", "PORT=4000\nTOKEN=abc\n");
    for (words, expected) in [
        (&[] as &[&str], "error: 2 required variables not set: PORT, TOKEN\n"),
        (&["--env", "TOKEN=abc"], "error: 1 required variable not set: PORT\n"),
        (&["--env-file", "half.env"], "error: 1 required variable not set: TOKEN\n"),
        (&["--env-file", "half.env", "--env", "TOKEN"], "error: 1 required variable not set: TOKEN\n"),
    ] {
        let refused = run(&mut floe_run(words), 1);
        assert!(refused.stderr.starts_with(expected), "{words:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("hint: set each with --env NAME=VALUE"), "{}", refused.stderr);
        assert_eq!(podman.images().expect("it lists"), [""; 0], "nothing was loaded");
    }

    succeed(&mut floe_run(&["--env-file", "whole.env"]));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, host));
    let page = |path| client::fetch(address, path, PATIENCE).expect("it answers");
    assert!(page("/").contains("Hello from Node"));
    check_health(&page("/health"), "floe run --detach");
    let inspected = answer(podman.command().args(["container", "inspect", &name]));
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    let environment = inspected[0]["Config"]["Env"].as_array().expect("a list");
    assert!(environment.contains(&json!("TOKEN=abc")), "{environment:?}");
    assert_eq!(inspected[0]["HostConfig"]["ReadonlyRootfs"], true);
    podman.remove(&name).expect("it is removed");
}
