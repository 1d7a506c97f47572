//! Files that the real podman and docker wrote, and that they read: `login` of either just works.
//!
//! Needs Debian's `docker-registry`, `podman` and `docker`; no daemon.

use std::path::Path;
use std::process::{Command, Output};

use floe_destination::registry::credentials::{
    Credential, CredentialEnvironment, CredentialSources, LoginName, Secret, find, login, logout,
};
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use floe_testkit::registry::{PASSWORD, USERNAME};
use tempfile::TempDir;

fn registry() -> Distribution {
    Distribution::start(Configuration { authentication: Authentication::Basic, ..Configuration::default() })
        .expect("a registry")
}

fn run(program: &str, home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run"));
    command.env("DOCKER_CONFIG", home.join(".docker")).env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    command.env_remove("REGISTRY_AUTH_FILE").env_remove("XDG_CONFIG_HOME");
    command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn sources(home: &Path) -> CredentialSources {
    let environment = CredentialEnvironment {
        home: Some(home.to_owned()),
        runtime_dir: Some(home.join("run")),
        ..CredentialEnvironment::default()
    };
    CredentialSources { environment, ..CredentialSources::default() }
}

#[test]
fn finds_what_podman_and_docker_wrote() {
    let registry = registry();
    let host = registry.host();
    let expected = Credential::password(USERNAME, PASSWORD);
    for (program, extra) in [("podman", Some("--tls-verify=false")), ("docker", None)] {
        let home = TempDir::new().expect("a folder");
        std::fs::create_dir(home.path().join("run")).expect("a folder");
        let mut arguments = vec!["login", "-u", USERNAME, "-p", PASSWORD];
        arguments.extend(extra);
        arguments.push(&host);
        let output = run(program, home.path(), &arguments);
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        let found = find(&sources(home.path()), &host, "team/app").expect("a lookup");
        assert_eq!(found, expected, "{program}");
    }
}

#[test]
fn podman_reads_what_floe_wrote() {
    let registry = registry();
    let host = registry.host();
    let home = TempDir::new().expect("a folder");
    std::fs::create_dir(home.path().join("run")).expect("a folder");
    let sources = sources(home.path());
    let name: LoginName = host.parse().expect("a registry");
    login(&sources, &name, USERNAME, &Secret::new(PASSWORD)).expect("kept");
    let output = run("podman", home.path(), &["login", "--get-login", &host]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), USERNAME);
    logout(&sources, &name).expect("forgotten");
    let output = run("podman", home.path(), &["login", "--get-login", &host]);
    assert!(!output.status.success());
}
