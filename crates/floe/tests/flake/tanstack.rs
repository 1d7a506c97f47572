//! `examples/tanstack-bff` by the commands of its guide: the same flake that a user writes for nixpkgs, unchanged.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine as _, Run};
use floe_testkit::http::client;
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use floe_testkit::service::port::free_port;
use floe_testkit::service::process::Process;
use serde_json::Value;

use crate::browser::Browser;
use crate::identity_provider::{API_KEY, CLIENT_ID, IdentityProvider, NAME};
use crate::project::{Project, run, succeed};

/// How long a server may take to answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What podman calls the production image once the archive is loaded.
pub(crate) const IMAGE: &str = "docker.io/library/tanstack-bff:latest";

/// The variables of `.env.docker`, filled in.
pub(crate) fn variables(port: u16, api_base: &str) -> Vec<String> {
    vec![
        format!("PORT={port}"),
        format!("WORKOS_API_BASE={api_base}"),
        format!("WORKOS_API_KEY={API_KEY}"),
        format!("WORKOS_CLIENT_ID={CLIENT_ID}"),
        format!("WORKOS_REDIRECT_URI=http://127.0.0.1:{port}/api/auth/callback"),
        "JWT_SECRET=0123456789abcdef0123456789abcdef".to_owned(),
    ]
}

/// The example with an environment that is complete.
pub(crate) fn example() -> Project {
    let project = Project::of_example("tanstack-bff");
    project.write(".env.docker", &(variables(3000, "http://127.0.0.1:9").join("\n") + "\n"));
    project
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Loads the production image into a podman of its own by the guide's words.
fn loaded(project: &Project) -> Podman {
    let podman = Podman::start().expect("podman");
    succeed(&mut project.nix(&["build", ".#docker"]));
    let archive = fs::File::open(project.path("result")).expect("an archive");
    succeed(podman.command().arg("load").stdin(archive));
    podman
}

#[test]
fn runs_with_each_form_of_environment() {
    let project = example();
    let podman = loaded(&project);
    let file = project.path(".env.docker").display().to_string();
    let values = variables(3000, "http://127.0.0.1:9");
    let given: Vec<&str> = values.iter().flat_map(|variable| ["--env", variable]).collect();
    for options in [vec!["--env-file", file.as_str()], given] {
        let container =
            podman.run_detached(&Run { image: IMAGE, options: &options, port: Some(3000), ..Run::default() });
        let container = container.expect("it starts");
        let health: Value =
            serde_json::from_str(&container.fetch("/health").expect("it answers")).expect("JSON");
        assert_eq!(health["status"], "ok");
        assert!(container.fetch("/").expect("a page").contains("<div id=\"root\"></div>"));
        assert!(container.fetch("/status").expect("a route of the page").contains("<div id=\"root\"></div>"));
    }
    // `--env NAME` passes on what podman itself is given.
    let mut command = podman.command();
    command.args(["run", "--rm", "--network=none", "--env", "JWT_SECRET", IMAGE]).env("JWT_SECRET", "short");
    let refused = run(&mut command, 1).stderr;
    assert!(refused.contains("  JWT_SECRET: expected at least 32"), "{refused}");
}

#[test]
fn says_all_that_is_missing_or_malformed_before_it_starts() {
    let project = Project::of_example("tanstack-bff");
    let podman = loaded(&project);
    let refused = run(podman.command().args(["run", "--rm", "--network=none", IMAGE]), 1).stderr;
    for line in [
        "cannot start: 4 settings are missing or malformed\n",
        "  WORKOS_API_KEY: not set\n",
        "  JWT_SECRET: not set\n",
        "hint: cp .env.docker.example .env.docker",
    ] {
        assert!(refused.contains(line), "no '{line}' in {refused}");
    }
    let options = ["--env", "JWT_SECRET=short", "--env", "WORKOS_REDIRECT_URI=nowhere", "--env", "PORT=0"];
    let refused =
        run(podman.command().args(["run", "--rm", "--network=none"]).args(options).arg(IMAGE), 1).stderr;
    for line in [
        "  JWT_SECRET: expected at least 32",
        "  WORKOS_REDIRECT_URI: expected a URL",
        "  PORT: expected a number",
    ] {
        assert!(refused.contains(line), "no '{line}' in {refused}");
    }

    // The flake's program refuses even before anything is loaded, and says how to begin.
    let mut command = project.nix(&["run", ".#run-with-podman"]);
    let refused = run(command.envs(podman.environment()), 1).stderr;
    let expected = "error: 4 required variables not set: JWT_SECRET, WORKOS_API_KEY, WORKOS_CLIENT_ID, WORKOS_REDIRECT_URI\n";
    assert!(refused.contains(expected), "{refused}");
    assert!(refused.contains("hint: begin with: cp .env.docker.example .env.docker\n"), "{refused}");
    fs::copy(project.path(".env.docker.example"), project.path(".env.docker")).expect("a copy");
    let mut command = project.nix(&["run", ".#run-with-podman"]);
    let refused = run(command.envs(podman.environment()), 1).stderr;
    let expected = "error: 3 required variables not set: JWT_SECRET, WORKOS_API_KEY, WORKOS_CLIENT_ID\n";
    assert!(refused.contains(expected), "{refused}");
}

#[test]
fn is_hardened_and_holds_nothing_to_type_commands_into() {
    let project = example();
    let podman = loaded(&project);
    let file = project.path(".env.docker").display().to_string();
    let options = ["--env-file", &file];
    let container =
        podman.run_detached(&Run { image: IMAGE, options: &options, port: Some(3000), ..Run::default() });
    let container = container.expect("it starts");
    container.fetch("/health").expect("it answers");

    let inspected = succeed(&mut project.nix(&["run", ".#docker.inspect", "--", "--json"])).stdout;
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    let node = inspected["config"]["Entrypoint"][0].as_str().expect("a program");
    let probe = "const fs = require('fs');\
        const write = (path) => { try { fs.writeFileSync(path, ''); return 'written' } catch (e) { return e.code } };\
        console.log(process.getuid(), process.getgid(), write('/probe'), write(process.env.HOME + '/probe'))";
    let said = succeed(podman.command().args(["exec", container.name(), node, "-e", probe])).stdout;
    assert_eq!(said, "1000 1000 EROFS EROFS\n");

    for program in ["/bin/sh", "sh", "bash", "npm", "apk", "apt-get", "nix"] {
        let entrypoint = format!("--entrypoint={program}");
        let output = podman.command().args(["run", "--rm", "--network=none", &entrypoint, IMAGE]).output();
        let output = output.expect("podman runs");
        assert!(matches!(output.status.code(), Some(125..=127)), "{program}: {output:?}");
    }
    let layers = inspected["layers"].to_string();
    for package in ["-bash-", "-coreutils-", "-npm-", "-nodejs-22", "-node-modules-"] {
        assert!(!layers.contains(package), "{package}: {layers}");
    }
}

#[test]
fn the_page_renders_and_signs_in() {
    let project = example();
    let podman = loaded(&project);
    let (provider, browser, port) = (IdentityProvider::start(), Browser::new(), free_port());
    let values = variables(port, &provider.base());
    let mut options = vec!["--network=host"];
    options.extend(values.iter().flat_map(|variable| ["--env", variable]));
    let container = podman.run_detached(&Run { image: IMAGE, options: &options, ..Run::default() });
    let container = container.expect("it starts");
    client::fetch(local(port), "/health", PATIENCE).expect("it answers");

    let page = format!("http://127.0.0.1:{port}/");
    let document = browser.document(&page);
    assert!(document.contains("<h1>TanStack on floe</h1>"), "{document}");
    assert!(document.contains("href=\"/api/auth/login\">Sign in</a>"), "{document}");
    let status = browser.document(&format!("{page}status"));
    assert!(status.contains("<h1>Status</h1>") && status.contains("\"status\": \"ok\""), "{status}");

    let document = browser.document(&format!("{page}api/auth/login"));
    assert!(document.contains(&format!("Signed in as <strong>{NAME}</strong>")), "{document}");
    let expected = ["GET /user_management/authorize", "POST /user_management/authenticate"];
    assert_eq!(provider.asked(), expected);
    // The session is a cookie of the browser's: the next page knows it.
    assert!(browser.document(&page).contains(NAME));
    let picture = project.path("page.png");
    browser.screenshot(&page, &picture);
    assert!(fs::metadata(&picture).expect("a picture").len() > 5000);
    keep(&picture);

    // A callback that was not begun here, and a token that was not signed here, are refused.
    let exchange = |path: &str, cookie: &str| {
        client::exchange(local(port), "GET", path, &[("Cookie", cookie)], &[]).expect("an answer").status
    };
    assert_eq!(exchange("/api/auth/callback?code=code_1&state=x", ""), 400);
    assert_eq!(exchange("/api/session", "session=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.x"), 401);
    assert_eq!(provider.asked(), expected);
    drop(container);
}

/// Puts the picture into the documents when `FLOE_KEEP_PICTURES` is set.
fn keep(picture: &Path) {
    if std::env::var_os("FLOE_KEEP_PICTURES").is_some() {
        let kept = crate::floe_flake::workspace().join("docs/pictures/tanstack-bff.png");
        fs::create_dir_all(kept.parent().expect("a folder")).expect("a folder");
        fs::copy(picture, kept).expect("a copy");
    }
}

#[test]
fn the_development_image_reloads_a_mounted_source() {
    let project = example();
    let (podman, port) = (Podman::start().expect("podman"), free_port());
    succeed(&mut project.nix(&["build", ".#docker-dev"]));
    let archive = fs::File::open(project.path("result")).expect("an archive");
    succeed(podman.command().arg("load").stdin(archive));
    let image = "docker.io/library/tanstack-bff-dev:latest";

    let shell =
        ["-c", "echo $BASH_VERSION; ls /node_modules/vite/package.json; command -v npm || echo no npm"];
    let run = Run { image, options: &["--entrypoint=/bin/bash"], arguments: &shell, ..Run::default() };
    let said = podman.run(&run).expect("a shell").stdout;
    assert!(said.starts_with("5.2") && said.contains("/node_modules/vite/package.json\nno npm\n"), "{said}");

    let values = variables(port, "http://127.0.0.1:9");
    let source = format!("--volume={}:/app:ro", project.path("").display());
    let mut options = vec!["--network=host", "--tmpfs=/tmp:mode=1777", &source];
    options.extend(values.iter().flat_map(|variable| ["--env", variable]));
    let container =
        podman.run_detached(&Run { image, options: &options, ..Run::default() }).expect("it starts");
    let fetch = |path: &str| client::fetch(local(port), path, PATIENCE).expect("it answers");
    assert!(fetch("/").contains("/@vite/client"), "{}", container.logs().expect("a log"));
    assert!(fetch("/src/home.tsx").contains("TanStack on floe"));

    let home = fs::read_to_string(project.path("src/home.tsx")).expect("a source");
    fs::write(project.path("src/home.tsx"), home.replace("TanStack on floe", "Changed while it ran"))
        .expect("a source");
    let changed = || fetch("/src/home.tsx").contains("Changed while it ran");
    assert!(until(changed), "{}", container.logs().expect("a log"));
    let reloaded = || container.logs().expect("a log").contains("hmr update /src/home.tsx");
    assert!(until(reloaded), "{}", container.logs().expect("a log"));

    // The server itself starts anew when its own source changes.
    let api = fs::read_to_string(project.path("server/api.ts")).expect("a source");
    fs::write(project.path("server/api.ts"), api.replace("status: 'ok'", "status: 'changed'"))
        .expect("a source");
    assert!(until(|| fetch("/health").contains("changed")), "{}", container.logs().expect("a log"));
}

/// Whether something becomes true in time.
fn until(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn runs_on_the_host_by_its_start_script() {
    let project = example();
    succeed(&mut project.nix(&["build", ".#app"]));
    let port = free_port();
    let values = variables(port, "http://127.0.0.1:9");
    project.write(".env.docker", &(values.join("\n") + "\n"));
    let script = project.path("result/start.sh");
    let start = format!("cd '{}' && exec '{}'", project.path("").display(), script.display());
    let mut command = Command::new("sh");
    command.args(["-c", &start]);
    let _server = Process::start(&command, project.path("log")).expect("it starts");
    let health = client::fetch(local(port), "/health", PATIENCE).expect("it answers");
    assert!(health.contains("\"status\":\"ok\""), "{health}");
    assert!(client::fetch(local(port), "/", PATIENCE).expect("a page").contains("root"));
}

#[test]
fn the_programs_of_the_guide_run_as_written() {
    let project = example();
    let (podman, elsewhere) = (Podman::start().expect("podman"), Podman::start().expect("podman"));
    let registry =
        Configuration { authentication: Authentication::Open, tls: false, client_certificates: false };
    let registry = Distribution::start(registry).expect("a registry");
    let nix = |words: &[&str]| {
        let mut command = project.nix(words);
        command.envs(podman.environment());
        command
    };

    let port = free_port();
    let publish = format!("127.0.0.1:{port}:3000");
    let name = format!("floe-tanstack-{}", std::process::id());
    succeed(&mut nix(&[
        "run",
        ".#run-with-podman",
        "--",
        "--detach",
        "--name",
        &name,
        "--publish",
        &publish,
    ]));
    let health = client::fetch(local(port), "/health", PATIENCE).expect("it answers");
    assert!(health.contains("\"status\":\"ok\""), "{health}");
    podman.remove(&name).expect("it is removed");

    let info = succeed(&mut nix(&["run", ".#docker-info"])).stdout;
    for part in [
        "tanstack-bff:latest\n",
        "tanstack-bff-dev:latest\n",
        "  ports        3000/tcp\n",
        "LAYER ",
        " nodejs-slim-",
    ] {
        assert!(info.contains(part), "no '{part}' in {info}");
    }

    let repository = format!("{}/team/tanstack", registry.host());
    succeed(&mut nix(&["run", ".#push-to-registry", &repository, "1.0"]));
    succeed(&mut nix(&["run", ".#push-to-registry", &repository, "1.0-dev", "docker-dev"]));
    for (tag, title) in [("1.0", "tanstack-bff:latest"), ("1.0-dev", "tanstack-bff-dev:latest")] {
        let reference = format!("docker://{repository}:{tag}");
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &reference]);
        let digest = succeed(&mut skopeo).stdout;
        assert!(info.contains(&format!("{title}\n  digest       {digest}")), "{digest} {info}");
    }

    succeed(&mut nix(&["run", ".#export-image", "docker", "tanstack.tar.gz"]));
    let load = "gunzip < tanstack.tar.gz | podman load";
    let mut command = project.place(Command::new("sh"));
    let loaded = succeed(command.args(["-c", load]).envs(elsewhere.environment())).stdout;
    assert!(loaded.contains(IMAGE), "{loaded}");
}
