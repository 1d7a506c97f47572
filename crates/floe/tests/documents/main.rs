//! The documents' `console` blocks are run, and what they show is what floe says.
//!
//! Times, sizes, digests and dates differ between machines and package versions, so they are compared by
//! their form; everything else to the letter.

mod transcript;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use floe_testkit::debian;
use floe_testkit::engine::Engine;
use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::docker::Docker;
use floe_testkit::engine::podman::Podman;
use floe_testkit::http::forward_proxy::ForwardProxy;
use floe_testkit::machine::nix_command;
use floe_testkit::registry::Authority;
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use floe_testkit::service::program::find;
use serde_json::json;

use crate::transcript::{Exchange, exchanges, formless};

/// How lines of progress begin.
const PROGRESS: [&str; 3] = ["packing layers: ", "reading ", "extracting: "];

/// The variable that names a folder of programs which come before this machine's.
const PROGRAMS: &str = "FLOE_DOCUMENT_PROGRAMS";

/// Set, it makes a document whose commands say what is expected show this run's digests, sizes and times.
const REWRITE: &str = "FLOE_REWRITE_DOCUMENTS";

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

fn document_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn document(name: &str) -> String {
    let path = document_path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Runs a document's commands one after the other, in one folder, and compares what they say.
fn check(name: &str) {
    check_in(name, &project(), &[]);
}

/// As [`check`], in a project that was made before and with more environment variables.
fn check_in(name: &str, project: &tempfile::TempDir, variables: &[(String, String)]) {
    let text = document(name);
    let mut written = text.clone();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_floe"));
    let programs = program.parent().expect("the program lies in a folder");
    let search = format!("{}:{}", programs.display(), std::env::var("PATH").expect("a search path"));
    let own = variables.iter().find(|(name, _)| name == PROGRAMS).map(|(_, folder)| format!("{folder}:"));
    let search = own.unwrap_or_default() + &search;
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
                    .envs(variables.iter().map(|(name, value)| (name, value)))
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
                written = written.replacen(&format!("$ {line}\n{expected}"), &format!("$ {line}\n{said}"), 1);
                commands += 1;
            }
        }
    }
    assert!(commands > 0, "{name} shows no command: the reader of its blocks is broken");
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(document_path(name), written).expect("the document can be written");
    }
}

#[test]
fn bases_are_built_upon_as_their_page_shows() {
    check("docs/bases.md");
}

#[test]
fn the_readme_shows_what_floe_says() {
    check("README.md");
}

/// The documents' `registry.example.com`: a distribution 2.8 on this machine with TLS, passwords, and a proxy that knows
/// where it is.
struct DocumentRegistry {
    _registry: Distribution,
    proxy: ForwardProxy,
}

impl DocumentRegistry {
    /// Starts it, and makes whoever has `home` trust it.
    fn start(home: &Path) -> Self {
        let configuration =
            Configuration { authentication: Authentication::Basic, tls: true, ..Configuration::default() };
        let registry = Distribution::start(configuration).unwrap_or_else(|error| panic!("{error}"));
        let certificates = home.join(".config/containers/certs.d").join(Authority::SERVER);
        std::fs::create_dir_all(&certificates).expect("a folder");
        let authority = registry.authority().expect("it speaks TLS").certificate();
        std::fs::copy(authority, certificates.join("ca.crt")).expect("a certificate");
        let hosts = BTreeMap::from([(format!("{}:443", Authority::SERVER), registry.address())]);
        let proxy = ForwardProxy::start(hosts).expect("a proxy");
        Self { _registry: registry, proxy }
    }

    /// What leads to it, and to no login or setting of this machine's.
    fn variables(&self, home: &Path) -> Vec<(String, String)> {
        let variables = [
            ("HTTPS_PROXY", self.proxy.url()),
            ("XDG_RUNTIME_DIR", home.join(".run").display().to_string()),
            ("DOCKER_CONFIG", String::new()),
            ("DOCKER_AUTH_CONFIG", String::new()),
            ("REGISTRY_AUTH_FILE", String::new()),
            ("XDG_CONFIG_HOME", String::new()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

#[test]
fn the_page_on_registries_shows_what_floe_says() {
    let project = project();
    let registry = DocumentRegistry::start(project.path());
    check_in("docs/registries.md", &project, &registry.variables(project.path()));
}

/// The guide's machine has podman, docker and containerd, a registry with passwords, and a nixpkgs that is Debian's.
#[test]
fn the_guide_shows_what_floe_says() {
    let project = tempfile::tempdir().expect("a temporary folder");
    let registry = DocumentRegistry::start(project.path());
    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    let docker = Docker::start().unwrap_or_else(|error| panic!("{error}"));
    let containerd = Containerd::start().unwrap_or_else(|error| panic!("{error}"));
    let engines: [&dyn Engine; 3] = [&podman, &docker, &containerd];
    // Logins are kept in the user's own file, as everywhere.
    let of_engines = engines.iter().flat_map(|engine| engine.environment());
    let of_engines = of_engines.filter(|(name, _)| name != "DOCKER_CONFIG");
    let mut variables = registry.variables(project.path());
    variables.extend(of_engines);
    variables.extend(nix_of_debian(&project.path().join(".programs")));
    check_in("docs/guide.md", &project, &variables);
}

/// A `nix` for whom nixpkgs is the test kit's package set, and who fetches nothing: what stands before the others on
/// `PATH`, and its settings.
fn nix_of_debian(folder: &Path) -> [(String, String); 2] {
    let set = debian::template_closure().expect("the package set builds with Nix").flake;
    let nix = find("nix").unwrap_or_else(|error| panic!("{error}"));
    std::fs::create_dir_all(folder).expect("a folder");
    let registry = json!({ "version": 2, "flakes": [{
        "from": { "type": "indirect", "id": "nixpkgs" }, "to": { "type": "path", "path": set },
    }]});
    std::fs::write(folder.join("registry.json"), registry.to_string()).expect("a file");
    // A flake of this folder has nixpkgs for its input; nixpkgs itself has none.
    let script = format!(
        "#!/bin/sh\ncase \"$1 $*\" in\nbuild*.#*|flake*)\n  subcommand=$1; shift\n  exec {nix} \"$subcommand\" --quiet --quiet --quiet \
         --no-write-lock-file --override-input nixpkgs path:{set} \"$@\" ;;\nesac\nexec {nix} \"$@\"\n",
        nix = nix.display(),
        set = set.display(),
    );
    let program = folder.join("nix");
    std::fs::write(&program, script).expect("a program");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
    let settings = nix_command("nix");
    let settings = settings.get_envs().find(|(name, _)| *name == "NIX_CONFIG").and_then(|(_, value)| value);
    let settings = settings.and_then(|value| value.to_str()).expect("the test kit's settings");
    let registry = folder.join("registry.json").display().to_string();
    let settings = settings.replace("flake-registry =", &format!("flake-registry = {registry}"));
    [("NIX_CONFIG".to_owned(), settings), (PROGRAMS.to_owned(), folder.display().to_string())]
}

#[test]
fn the_page_on_layering_shows_what_floe_says() {
    check("docs/layering.md");
}
