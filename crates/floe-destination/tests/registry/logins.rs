//! Files that the real podman, docker and skopeo wrote, and that they read: a `login` of any of them just works.
//!
//! Needs Debian's `docker-registry`, `podman`, `docker` and `skopeo`; no daemon.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use floe_destination::registry::Registry;
use floe_destination::registry::credentials::{Credential, LoginName, Secret, find, login, logout};
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use floe_testkit::registry::{PASSWORD, TokenServer, USERNAME};

use crate::credentials::Home;
use crate::image::config;

fn registry(authentication: Authentication) -> Distribution {
    Distribution::start(Configuration { authentication, ..Configuration::default() }).expect("a registry")
}

/// A program at home in this folder, with the helpers of its `bin`.
fn command(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    std::fs::create_dir_all(home.join("run")).expect("a folder");
    let path = std::env::var("PATH").expect("a search path");
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run"));
    command.env("PATH", format!("{}:{path}", home.join("bin").display()));
    command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    for variable in ["DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME"] {
        command.env_remove(variable);
    }
    command
}

/// How a user logs in with another program.
struct Login {
    program: &'static str,
    /// Words before the registry.
    words: &'static [&'static str],
    /// A variable that the program and floe see, with a path below the home folder.
    variable: Option<(&'static str, &'static str)>,
    /// What Docker's file holds before; HOST stands for the registry.
    config: &'static str,
    /// The namespace behind the host.
    namespace: &'static str,
}

/// Logins with nothing special.
const PLAIN: Login =
    Login { program: "docker", words: &["login"], variable: None, config: "{}", namespace: "" };

const PODMAN: Login = Login { program: "podman", words: &["login", "--tls-verify=false"], ..PLAIN };

/// Whatever podman, docker or skopeo kept, and wherever: floe finds it, and the registry takes it.
#[test]
fn finds_what_podman_docker_and_skopeo_wrote() {
    let logins = [
        PLAIN,
        Login { variable: Some(("DOCKER_CONFIG", "elsewhere")), ..PLAIN },
        Login { config: r#"{"credsStore":"fake"}"#, ..PLAIN },
        Login { config: r#"{"credHelpers":{"HOST":"fake"}}"#, ..PLAIN },
        PODMAN,
        Login { variable: Some(("REGISTRY_AUTH_FILE", "elsewhere/auth.json")), ..PODMAN },
        Login { variable: Some(("XDG_CONFIG_HOME", "elsewhere")), ..PODMAN },
        Login { namespace: "/team", ..PODMAN },
        Login { program: "skopeo", ..PODMAN },
    ];
    for authentication in
        [Authentication::Basic, Authentication::Token { lifetime: Duration::from_secs(300) }]
    {
        let registry = registry(authentication);
        let client = Registry::new(config()).expect("a client");
        for login in &logins {
            let home = Home::new(&[(".docker/config.json", &login.config.replace("HOST", &registry.host()))]);
            let found = log_in(&home, login, &registry.host());
            let what = format!("{} {:?} {} {}", login.program, login.variable, login.config, login.namespace);
            match &found {
                // docker keeps no password where the token server gives it an identity token.
                Credential::IdentityToken { token, .. } if login.program == "docker" => {
                    assert_ne!(authentication, Authentication::Basic, "{what}");
                    assert_eq!(token.reveal(), TokenServer::IDENTITY_TOKEN, "{what}");
                }
                found => assert_eq!(*found, Credential::password(USERNAME, PASSWORD), "{what}"),
            }
            client.check_login(&registry.host(), found).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
    }
}

/// Logs in with the program, and finds the login.
fn log_in(home: &Home, login: &Login, host: &str) -> Credential {
    let root = home.path("");
    let mut command = command(login.program, &root);
    command.args(login.words).args(["-u", USERNAME, "-p", PASSWORD]);
    command.arg(format!("{host}{}", login.namespace));
    let mut sources = home.sources.clone();
    if let Some((name, path)) = login.variable {
        let path = root.join(path);
        command.env(name, &path);
        let environment = &mut sources.environment;
        match name {
            "DOCKER_CONFIG" => environment.docker_config = Some(path),
            "REGISTRY_AUTH_FILE" => environment.registry_auth_file = Some(path),
            _ => environment.config_home = Some(path),
        }
    }
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", login.program));
    assert!(output.status.success(), "{}: {}", login.program, String::from_utf8_lossy(&output.stderr));
    if !login.namespace.is_empty() {
        assert!(find(&sources, host, "other/app").expect("a lookup").is_anonymous());
    }
    find(&sources, host, "team/app").expect("a lookup")
}

/// What floe kept, in each of its places, is what podman and skopeo find.
#[test]
fn podman_and_skopeo_read_what_floe_wrote() {
    let registry = registry(Authentication::Basic);
    let host = registry.host();
    for (namespace, in_file) in [("", false), ("", true), ("/team", false)] {
        let mut home = Home::new(&[]);
        home.sources.auth_file = in_file.then(|| home.path("given.json"));
        let name: LoginName = format!("{host}{namespace}").parse().expect("a registry");
        login(&home.sources, &name, USERNAME, &Secret::new(PASSWORD)).expect("kept");
        let logged_in = |program: &str| {
            let mut command = command(program, &home.path(""));
            command.args(["login", "--get-login"]);
            if let Some(file) = &home.sources.auth_file {
                command.arg("--authfile").arg(file);
            }
            let output = command.arg(name.to_string()).output().expect("it runs");
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        for program in ["podman", "skopeo"] {
            assert_eq!(logged_in(program).as_deref(), Some(USERNAME), "{program} {name} {in_file}");
        }
        logout(&home.sources, &name).expect("forgotten");
        assert_eq!(logged_in("podman"), None, "{name} {in_file}");
    }
}
