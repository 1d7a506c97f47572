//! `floe login` and `logout`, and the logins of podman, docker and skopeo: each uses what another one kept.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use floe_testkit::engine::Engine;
use floe_testkit::engine::docker::Docker;
use floe_testkit::engine::podman::Podman;
use floe_testkit::registry::distribution::Authentication;
use floe_testkit::registry::{PASSWORD, USERNAME};
use serde_json::{Value, json};

use super::home::{Home, distribution};
use crate::program::{answer, run, succeed};

const TOKEN: Authentication = Authentication::Token { lifetime: Duration::from_secs(300) };

/// A credential helper that keeps one login in a file beside itself.
const HELPER: &str = r#"#!/bin/sh
kept=$(dirname "$0")/kept
case $1 in
  get) cat > /dev/null; if [ -f "$kept" ]; then cat "$kept"; else echo "credentials not found in native keychain"; exit 1; fi ;;
  store) cat > "$kept" ;;
  erase) cat > /dev/null; rm "$kept" ;;
  list) if [ -f "$kept" ]; then sed 's/.*"ServerURL":"\([^"]*\)","Username":"\([^"]*\)".*/{"\1":"\2"}/' "$kept"; else echo {}; fi ;;
esac
"#;

#[test]
fn podman_docker_and_skopeo_use_a_login_of_floes() {
    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    let docker = Docker::start().unwrap_or_else(|error| panic!("{error}"));
    for authentication in [Authentication::Basic, TOKEN] {
        let (home, registry) = (Home::new(), distribution(authentication));
        let host = registry.host();
        let reference = format!("{host}/team/site:1");
        let said = home.failure(&["push", "site:1", &reference]);
        assert!(said.contains("401"), "{said}");
        assert_eq!(
            home.failure(&["tags", &reference]).lines().last(),
            Some(format!("hint: log in: floe login {host}").as_str())
        );

        home.log_in(&host);
        home.push(&reference);
        let mode = fs::metadata(home.path("home/.docker/config.json")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let source = format!("docker://{reference}");
        let inspect = || home.program("skopeo", &["inspect", "--raw", "--tls-verify=false", &source]);
        let manifest: Value = serde_json::from_slice(&succeed(&mut inspect()).stdout).expect("a manifest");
        assert_eq!(manifest["schemaVersion"], 2);
        let pull = ["pull", "--quiet", "--tls-verify=false", reference.as_str()];
        succeed(home.let_in(podman.command()).args(pull));
        assert_eq!(answer(&mut home.program("podman", &["login", "--get-login", &host])), USERNAME);
        succeed(home.let_in(docker.command()).args(["pull", "--quiet", &reference]));

        let said = succeed(&mut home.floe(&["logout", &host])).stderr;
        assert_eq!(
            said,
            format!(
                "logged out of {host}; what was in {} is gone\n",
                home.path("home/.docker/config.json").display()
            )
        );
        run(&mut inspect(), 1);
        assert!(home.failure(&["tags", &reference]).contains("401"));
    }
}

#[test]
fn floe_uses_the_logins_of_others() {
    for (program, words) in [
        ("podman", &["login", "--tls-verify=false"] as &[&str]),
        ("docker", &["login"]),
        ("skopeo", &["login", "--tls-verify=false"]),
    ] {
        let (home, registry) = (Home::new(), distribution(Authentication::Basic));
        let host = registry.host();
        let login = [words, &["--username", USERNAME, "--password-stdin", &host]].concat();
        let output = home.program(program, &login).stdin(home.holding(PASSWORD)).output().expect(program);
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        home.push(&format!("{host}/team/site:1"));
        assert_eq!(answer(&mut home.floe(&["tags", &format!("{host}/team/site")])), "1", "{program}");
        let listed: Value =
            serde_json::from_str(&answer(&mut home.floe(&["login", "--list", "--json"]))).expect("JSON");
        assert_eq!((&listed["registry"], &listed["username"]), (&json!(host), &json!(USERNAME)), "{program}");
        succeed(&mut home.floe(&["logout", "--all"]));
        assert!(home.failure(&["tags", &format!("{host}/team/site")]).contains("401"), "{program}");
        assert_eq!(answer(&mut home.floe(&["login", "--list"])), "", "{program}");
    }
}

#[test]
fn a_refused_login_is_not_kept() {
    for authentication in [Authentication::Basic, TOKEN] {
        let (home, registry) = (Home::new(), distribution(authentication));
        let host = registry.host();
        let mut login = home.floe(&["login", &host, "--username", USERNAME, "--password-stdin"]);
        let said = run(login.stdin(home.holding("hunter2")), 1).stderr;
        assert!(said.starts_with(&format!("error: cannot log in to {host} as {USERNAME}\n")), "{said}");
        assert!(said.contains("401") && said.contains("hint: check name and password"), "{said}");
        assert!(!said.contains("hunter2") && !home.path("home/.docker").exists());
    }
}

#[test]
fn a_helper_keeps_the_login() {
    let docker = Docker::start().unwrap_or_else(|error| panic!("{error}"));
    for for_one_host in [false, true] {
        let (home, registry) = (Home::new(), distribution(Authentication::Basic));
        let (host, reference) = (registry.host(), format!("{}/team/site:1", registry.host()));
        let helper = home.write("bin/docker-credential-kept", HELPER);
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("a program");
        let configured = match for_one_host {
            true => json!({ "credHelpers": { &host: "kept" }, "psFormat": "x" }),
            false => json!({ "credsStore": "kept", "psFormat": "x" }),
        };
        let config = home.write("home/.docker/config.json", &configured.to_string());
        let path =
            format!("{}:{}", home.path("bin").display(), std::env::var("PATH").expect("a search path"));
        let with_helper = |mut command: Command| {
            command.env("PATH", &path);
            command
        };

        let login = ["login", &host, "--username", USERNAME, "--password-stdin", "--json"];
        let mut login = with_helper(home.floe(&login));
        let kept: Value = serde_json::from_str(&answer(login.stdin(home.holding(PASSWORD)))).expect("JSON");
        assert_eq!(kept, json!({ "registry": host, "username": USERNAME, "helper": "kept" }));
        let mut expected = configured;
        expected["auths"] = json!({ &host: {} });
        let written = fs::read(&config).expect("the file is there");
        assert_eq!(serde_json::from_slice::<Value>(&written).expect("JSON"), expected);

        succeed(&mut with_helper(home.floe(&["push", "site:1", &reference])));
        // docker asks either helper; podman and skopeo know only those for one host.
        let mut pull = with_helper(home.let_in(docker.command()));
        succeed(pull.args(["pull", "--quiet", &reference]));
        if for_one_host {
            let source = format!("docker://{reference}");
            succeed(&mut with_helper(home.program("skopeo", &["inspect", "--tls-verify=false", &source])));
        }

        let listed = answer(&mut with_helper(home.floe(&["login", "--list"])));
        let expected = ["REGISTRY", "USER", "KEPT", &host, USERNAME, "by", "docker-credential-kept"];
        assert_eq!(listed.split_whitespace().collect::<Vec<_>>(), expected);
        succeed(&mut with_helper(home.floe(&["logout", &host])));
        assert!(!home.path("bin/kept").exists());

        let mut without = home.floe(&["login", &host, "--username", USERNAME, "--password-stdin"]);
        let said = run(without.stdin(home.holding(PASSWORD)), 1).stderr;
        assert!(said.contains("'docker-credential-kept' is not on PATH"), "{said}");
    }
}

/// At a terminal, which `script` makes, floe asks; what is typed as the password is not shown, and what is typed after
/// it is shown again.
#[test]
fn asks_at_a_terminal() {
    let (home, registry) = (Home::new(), distribution(Authentication::Basic));
    let host = registry.host();
    let floe = env!("CARGO_BIN_EXE_floe");
    let password_of = format!("password of {USERNAME} at {host}: ");
    let login = format!("{floe} login {host}; stty -a");
    let shown = at_a_terminal(&home, &login, &[("user name: ", USERNAME), (&password_of, PASSWORD)]);
    assert!(shown.contains(&format!("logged in to {host} as {USERNAME}")), "{shown}");
    assert!(!shown.contains(PASSWORD) && shown.contains(" echo ") && shown.contains(" icanon "), "{shown}");

    let shown = at_a_terminal(&home, &login, &[("user name: ", USERNAME), (&password_of, "abc\u{3}")]);
    assert!(shown.contains("nothing was answered") && shown.contains(" echo "), "{shown}");

    home.push(&format!("{host}/team/site:1"));
    for typed in ["", "n", "yeah"] {
        let delete = format!("{floe} delete {host}/team/site:1");
        let question = format!("delete the tag 1 from {host}/team/site? [y/N]: ");
        let shown = at_a_terminal(&home, &delete, &[(&question, typed)]);
        assert!(shown.contains("nothing was deleted"), "{shown}");
        assert_eq!(answer(&mut home.floe(&["tags", &format!("{host}/team/site")])), "1");
    }
}

/// Runs a command line at a terminal, types an answer and Enter behind each question, and returns what was shown.
fn at_a_terminal(home: &Home, command: &str, exchanges: &[(&str, &str)]) -> String {
    let mut script = home.program("script", &["--quiet", "--command", command, "/dev/null"]);
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script starts");
    let mut keys = child.stdin.take().expect("a pipe");
    let mut screen = child.stdout.take().expect("a pipe");
    let mut shown = Vec::new();
    for (question, typed) in exchanges {
        let begin = shown.len();
        while !String::from_utf8_lossy(&shown[begin..]).contains(question) {
            let mut byte = [0];
            let read = screen.read(&mut byte).expect("the terminal can be read");
            assert_eq!(read, 1, "no '{question}' in: {}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        keys.write_all(format!("{typed}\n").as_bytes()).expect("the terminal takes keys");
    }
    screen.read_to_end(&mut shown).expect("the terminal can be read");
    child.wait().expect("script ends");
    String::from_utf8_lossy(&shown).into_owned()
}

#[test]
fn a_namespace_has_a_login_of_its_own() {
    let (home, registry) = (Home::new(), distribution(Authentication::Basic));
    let host = registry.host();
    home.log_in(&format!("{host}/team"));
    home.push(&format!("{host}/team/site:1"));
    assert!(home.failure(&["push", "site:1", &format!("{host}/other/site:1")]).contains("401"));
    let inspect = |repository: &str| {
        let source = format!("docker://{host}/{repository}:1");
        home.program("skopeo", &["inspect", "--raw", "--tls-verify=false", &source])
    };
    succeed(&mut inspect("team/site"));
    run(&mut inspect("other/site"), 1);
}

/// A login in the environment goes first and is not floe's to change: it says so.
#[test]
fn warns_of_a_login_that_goes_first() {
    let (home, registry) = (Home::new(), distribution(Authentication::Basic));
    let host = registry.host();
    let variable = json!({ "auths": { &host: { "username": "other", "password": "x" } } }).to_string();
    let mut login = home.floe(&["login", &host, "--username", USERNAME, "--password-stdin"]);
    let said = run(login.env("DOCKER_AUTH_CONFIG", &variable).stdin(home.holding(PASSWORD)), 0).stderr;
    assert!(said.contains(&format!("warning: another login goes first for {host}")), "{said}");
    let said = run(home.floe(&["logout", &host]).env("DOCKER_AUTH_CONFIG", &variable), 0).stderr;
    assert!(
        said.contains("warning: the login for") && said.contains("in DOCKER_AUTH_CONFIG remains"),
        "{said}"
    );
}

#[test]
fn a_named_file_is_the_only_one() {
    let (home, registry) = (Home::new(), distribution(Authentication::Basic));
    let host = registry.host();
    let file = home.path("new/auth.json");
    let authfile = file.to_str().expect("UTF-8");
    let login = ["login", &host, "--username", USERNAME, "--password-stdin", "--authfile", authfile];
    succeed(home.floe(&login).stdin(home.holding(PASSWORD)));
    assert!(!home.path("home/.docker").exists());
    let repository = format!("{host}/team/site");
    let mut push = home.floe(&["push", "site:1", &format!("{repository}:1")]);
    succeed(push.env("REGISTRY_AUTH_FILE", authfile));
    assert_eq!(answer(&mut home.floe(&["tags", &repository, "--authfile", authfile])), "1");
    assert!(home.failure(&["tags", &repository]).contains("401"));
    let inspect = ["inspect", "--tls-verify=false", "--authfile", authfile, "--raw"];
    succeed(&mut home.program("skopeo", &[&inspect[..], &[&format!("docker://{repository}:1")]].concat()));
    succeed(&mut home.floe(&["logout", &host, "--authfile", authfile]));
    assert!(home.failure(&["tags", &repository, "--authfile", authfile]).contains("401"));
}
