//! The documents' `console` blocks are run, and what they show is what floe says.
//!
//! Times, sizes, digests and dates differ between machines and package versions, so they are compared by
//! their form; everything else to the letter.

mod transcript;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use floe_testkit::debian;
use floe_testkit::http::forward_proxy::ForwardProxy;
use floe_testkit::registry::Authority;
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};

use crate::transcript::{Exchange, exchanges, formless};

/// How lines of progress begin.
const PROGRESS: [&str; 3] = ["packing layers: ", "reading ", "extracting: "];

/// The folder that a document's commands run in: `result` as `nix build` leaves it, a plain site, and `debian`, an OCI
/// layout to build upon.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = debian::node_server().expect("the Node server builds with Nix");
    let server = server.root("node-server").expect("the server has an output");
    std::os::unix::fs::symlink(server, folder.path().join("result")).expect("a link");
    std::fs::create_dir(folder.path().join("site")).expect("a folder");
    std::fs::write(folder.path().join("site/index.html"), "<h1>hello</h1>\n").expect("a page");
    let debian = floe_testkit::base::debian().unwrap_or_else(|error| panic!("{error}"));
    std::os::unix::fs::symlink(debian, folder.path().join("debian")).expect("a link");
    folder
}

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Runs a document's commands one after the other, in one folder, and compares what they say.
fn check(name: &str) {
    check_in(name, &project(), &[]);
}

/// As [`check`], in a project that was made before and with more environment variables.
fn check_in(name: &str, project: &tempfile::TempDir, variables: &[(&str, String)]) {
    let text = document(name);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_floe"));
    let programs = program.parent().expect("the program lies in a folder");
    let search = format!("{}:{}", programs.display(), std::env::var("PATH").expect("a search path"));
    let mut commands = 0;
    for exchange in exchanges(&text) {
        match exchange {
            Exchange::File { path, text } => std::fs::write(project.path().join(path), text).expect("a file"),
            Exchange::Command { line, expected } => {
                let output = Command::new("sh")
                    .args(["-c", &format!("exec 2>&1; {line}")])
                    .current_dir(project.path())
                    .env("PATH", &search)
                    .env("HOME", project.path())
                    .env("XDG_DATA_HOME", project.path().join(".data"))
                    .env("XDG_CACHE_HOME", project.path().join(".cache"))
                    .envs(variables.iter().cloned())
                    .output()
                    .expect("sh runs");
                let said = String::from_utf8_lossy(&output.stdout);
                // Lines of progress come only when the machine is slow.
                let said: String = said
                    .lines()
                    .filter(|line| !PROGRESS.iter().any(|phase| line.starts_with(phase)))
                    .map(|line| line.to_owned() + "\n")
                    .collect();
                let folder = project.path().canonicalize().expect("the folder is there");
                let said = said.replace(&format!("{}/", folder.display()), "./");
                assert_eq!(formless(&said), formless(&expected), "{name}: {line}\n{said}");
                commands += 1;
            }
        }
    }
    assert!(commands > 0, "{name} shows no command: the reader of its blocks is broken");
}

#[test]
fn bases_are_built_upon_as_their_page_shows() {
    check("docs/bases.md");
}

#[test]
fn the_readme_shows_what_floe_says() {
    check("README.md");
}

/// The document's `registry.example.com` is a distribution 2.8 on this machine: with TLS, passwords, and a proxy that
/// knows where it is.
#[test]
fn the_page_on_registries_shows_what_floe_says() {
    let project = project();
    let configuration =
        Configuration { authentication: Authentication::Basic, tls: true, ..Configuration::default() };
    let registry = Distribution::start(configuration).unwrap_or_else(|error| panic!("{error}"));
    let certificates = project.path().join(".config/containers/certs.d").join(Authority::SERVER);
    std::fs::create_dir_all(&certificates).expect("a folder");
    let authority = registry.authority().expect("it speaks TLS").certificate();
    std::fs::copy(authority, certificates.join("ca.crt")).expect("a certificate");
    let hosts = BTreeMap::from([(format!("{}:443", Authority::SERVER), registry.address())]);
    let proxy = ForwardProxy::start(hosts).expect("a proxy");
    let variables = [
        ("HTTPS_PROXY", proxy.url()),
        ("XDG_RUNTIME_DIR", project.path().join(".run").display().to_string()),
        ("DOCKER_CONFIG", String::new()),
        ("DOCKER_AUTH_CONFIG", String::new()),
        ("REGISTRY_AUTH_FILE", String::new()),
        ("XDG_CONFIG_HOME", String::new()),
    ];
    check_in("docs/registries.md", &project, &variables);
}
