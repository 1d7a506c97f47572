//! Each template of `floe new` is built by Nix as it is written, and runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use floe_testkit::debian::template_closure;
use floe_testkit::engine::Engine;
use floe_testkit::engine::podman::Podman;
use floe_testkit::http::client;
use floe_testkit::service::port::free_port;
use serde_json::Value;

use crate::program::{Desk, answer, program, run, succeed, text};

/// How long a server may take to answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What stands in the flakes that are written, and what the tests put there: Debian's packages under nixpkgs' names.
const NIXPKGS: &str = "github:NixOS/nixpkgs/nixos-unstable";

/// Writes a project; its flake, where there is one, then takes nixpkgs from this machine.
fn begun(words: &[&str]) -> Desk {
    let desk = Desk::new();
    succeed(desk.floe(&["new", "--yes", "--name", "demo", "--template"]).args(words));
    let flake = desk.path("flake.nix");
    if flake.exists() {
        let written = std::fs::read_to_string(&flake).expect("a flake");
        assert!(written.contains(NIXPKGS), "{written}");
        let set = template_closure().unwrap_or_else(|error| panic!("{error:?}")).flake;
        desk.write("flake.nix", &written.replace(NIXPKGS, &format!("path:{}", set.display())));
    }
    desk
}

/// Builds the project as its owner would, and returns the image's size in bytes.
fn built(desk: &Desk) -> u64 {
    let mut build = desk.floe(&["build", "--json"]);
    let report: Value = serde_json::from_slice(&run(with_nix(&mut build), 0).stdout).expect("JSON");
    assert_eq!(report["name"], "demo:latest");
    report["size"].as_u64().expect("a size")
}

/// Nix as the tests use it, also where floe calls it.
fn with_nix(command: &mut Command) -> &mut Command {
    let nix = floe_testkit::machine::nix_command("nix");
    for (name, value) in nix.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Loads the project's image into podman.
fn loaded(desk: &Desk) -> Podman {
    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    succeed(desk.floe(&["load", "podman", "demo"]).envs(podman.environment()));
    podman
}

#[test]
fn an_application_answers() {
    let desk = begun(&["app", "--required-env", "TOKEN"]);
    built(&desk);
    let said = run(&mut desk.floe(&["run", "demo"]), 1).stderr;
    assert!(said.starts_with("error: 1 required variable not set: TOKEN\n"), "{said}");
    let example = std::fs::read_to_string(desk.path(".env.example")).expect("it is written");
    assert!(example.lines().any(|line| line == "TOKEN="), "{example}");
    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    let (port, name) = (free_port(), format!("floe-template-{}", std::process::id()));
    let publish = format!("127.0.0.1:{port}:3000");
    let mut start = desk.floe(&["run", "demo", "--engine", "podman", "--detach", "--name", &name]);
    start.args(["--publish", &publish, "--env", "TOKEN=abc"]);
    succeed(start.envs(podman.environment()));
    let page = client::fetch(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "/", PATIENCE);
    assert!(page.expect("it answers").contains("<h1>demo</h1>"));
    succeed(podman.command().args(["rm", "--force", &name]));
}

#[test]
fn tools_are_there_to_be_called() {
    let desk = begun(&["tools"]);
    built(&desk);
    let podman = loaded(&desk);
    let mut tools = desk.floe(&[
        "run",
        "demo",
        "--engine",
        "podman",
        "--",
        "-c",
        "jq --version && id -u && ls /bin/curl",
    ]);
    assert_eq!(answer(tools.envs(podman.environment())), "jq-1.6\n1000\n/bin/curl");
}

#[test]
fn a_development_container_sees_the_sources() {
    let desk =
        begun(&["development", "--package", "bashInteractive", "--package", "coreutils", "--package", "git"]);
    built(&desk);
    let podman = loaded(&desk);
    desk.write("source.txt", "written outside\n");
    let mut shell = desk.floe(&["run", "demo", "--engine", "podman", "--writable", "--volume", ".:/work"]);
    shell.args(["--", "-c", "pwd && cat source.txt && git --version"]);
    let said = answer(shell.envs(podman.environment()));
    assert!(said.starts_with("/work\nwritten outside\ngit version 2."), "{said}");
}

#[test]
fn what_is_there_already_is_taken_and_never_replaced() {
    let desk = Desk::new();
    desk.write("page/index.html", "<h1>mine</h1>");
    succeed(&mut desk.floe(&["new", "--yes", "--template", "app", "--name", "demo", "--contents", "./page"]));
    assert!(!desk.path("flake.nix").exists());
    built(&desk);
    let before = std::fs::read_to_string(desk.path("floe.toml")).expect("a file");
    let refused = run(&mut desk.floe(&["new", "--yes", "--template", "tools"]), 1).stderr;
    assert_eq!(
        refused,
        "error: ./floe.toml is there already, and nothing was written\n\
         hint: name another folder: floe new DIR; or leave out --yes, to be asked\n"
    );
    assert_eq!(std::fs::read_to_string(desk.path("floe.toml")).expect("a file"), before);
    assert!(!desk.path("flake.nix").exists(), "nothing was written");
}

#[test]
fn mistakes_are_named() {
    let desk = Desk::new();
    for (words, expected) in [
        (&["new"] as &[&str], "standard input is no terminal to ask at: expected --template and --yes"),
        (&["new", "--yes"], "--yes asks nothing: expected --template"),
        (&["new", "--yes", "--template", "ap"], "no template 'ap': expected app, tools, development"),
        (
            &["new", "--yes", "--template", "app", "--name", "A b"],
            "'A b' is not the image's name: expected small letters",
        ),
        (
            &["new", "--yes", "--template", "tools", "--package", "x;y"],
            "'x;y' is not a package: expected names",
        ),
        (
            &["new", "--yes", "--template", "app", "--required-env", "A=b"],
            "'A=b' is not a variable: expected a name",
        ),
    ] {
        let said = run(&mut desk.floe(words), 2).stderr;
        assert!(said.starts_with(&format!("error: {expected}")), "{words:?}: {said}");
        assert_eq!(std::fs::read_dir(desk.path("")).expect("the folder").count(), 0, "nothing was written");
    }
}

/// Runs floe at a terminal, on which these lines are typed; returns what the terminal shows.
fn typed(desk: &Desk, words: &str, lines: &[&str]) -> String {
    let floe = desk.floe(&[]);
    // script(1) of util-linux is a terminal without a screen.
    let mut script = program("script", &["--quiet", "--return", "--flush", "--command"]);
    script.arg(format!("{} {words}", text(&PathBuf::from(floe.get_program())))).arg("/dev/null");
    script.current_dir(floe.get_current_dir().expect("floe works in a folder"));
    script.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = script.spawn().expect("script starts");
    let mut stdin = child.stdin.take().expect("a pipe was asked for");
    for line in lines {
        std::io::Write::write_all(&mut stdin, format!("{line}\n").as_bytes()).expect("it reads");
        // A terminal that was not read yet keeps what is typed; this only lets questions and answers alternate.
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output().expect("it ends");
    drop(stdin);
    let shown = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    assert!(output.status.success(), "{shown}");
    shown
}

#[test]
fn asks_at_a_terminal() {
    let desk = Desk::new();
    desk.write("page/index.html", "<h1>mine</h1>");
    let shown = typed(&desk, "new", &["9", "1", "demo", "./page", "8080", "TOKEN SECRET"]);
    for expected in [
        "What is it to be?",
        "  1  a new application's image",
        "'9' will not do: expected 1 to 3, or a name",
        "wrote floe.toml, .env.example, .gitignore",
        "next: floe build && floe run demo",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let file = std::fs::read_to_string(desk.path("floe.toml")).expect("a file");
    for line in [
        "[image.demo]",
        "contents = [\"./page\"]",
        "ports = [8080]",
        "required-env = [\"TOKEN\", \"SECRET\"]",
    ] {
        assert!(file.lines().any(|written| written == line), "{line}: {file}");
    }
    built(&desk);

    let kept = typed(&desk, "new --template tools --name other --package git", &["n", "n"]);
    assert!(kept.contains("floe.toml is there already. Replace it? [y/N]"), "{kept}");
    assert_eq!(std::fs::read_to_string(desk.path("floe.toml")).expect("a file"), file);
    typed(&desk, "new --template tools --name other --package git", &["n", "y"]);
    let replaced = std::fs::read_to_string(desk.path("floe.toml")).expect("a file");
    assert!(replaced.contains("root = [\"nixpkgs#git\"]"), "{replaced}");
}
