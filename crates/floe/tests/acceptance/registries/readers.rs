//! What floe pushed is pulled, run, copied and judged by other people's programs, from every kind of registry.
//!
//! Needs podman, skopeo, containerd, and from Debian's newer suite crane and oras.

use std::time::Duration;

use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine, Run};
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use floe_testkit::registry::{PASSWORD, USERNAME, in_process};
use floe_testkit::service::port::free_port;
use serde_json::Value;

use super::home::{Home, newer};
use crate::program::{answer, succeed};
use crate::shared_images::node_server_path;

/// A registry as its readers have to be told about it.
struct Place {
    host: String,
    /// Whether a login is needed.
    login: bool,
    /// The certificate of its authority, where it speaks TLS.
    authority: Option<String>,
}

/// Pushes the Node server and hands it to every reader.
fn check(place: &Place, compression: &str) {
    let home = Home::new();
    let build =
        ["build", &node_server_path(), "--name", "server", "--port", "3000", "--compression", compression];
    succeed(&mut home.floe(&build));
    if let Some(authority) = &place.authority {
        let folder = format!("home/.config/containers/certs.d/{}", place.host);
        home.write(&format!("{folder}/ca.crt"), &std::fs::read_to_string(authority).expect("a certificate"));
    }
    if place.login {
        home.log_in(&place.host);
    }
    let reference = format!("{}/team/server:1.0", place.host);
    succeed(&mut home.floe(&["push", "server", &reference]));
    let source = format!("docker://{reference}");
    let encrypted = place.authority.is_some();
    let plain = |option: &'static str| if encrypted { None } else { Some(option) };

    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    let mut pull = home.let_in(podman.command());
    succeed(pull.args(["pull", "--quiet"]).args(plain("--tls-verify=false")).arg(&reference));
    serves(&podman, &reference);

    let mut inspect = home.program("skopeo", &["inspect"]);
    let inspected = answer(inspect.args(plain("--tls-verify=false")).arg(&source));
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    assert_eq!((&inspected["Architecture"], &inspected["RepoTags"][0]), (&"amd64".into(), &"1.0".into()));
    let copy = format!("dir:{}", home.path("copy").display());
    let mut skopeo = home.program("skopeo", &["copy", "--quiet"]);
    succeed(skopeo.args(plain("--src-tls-verify=false")).args([&source, &copy]));

    let containerd = Containerd::start().unwrap_or_else(|error| panic!("{error}"));
    let mut pull = home.let_in(containerd.command());
    pull.args(["images", "pull"]).args(plain("--plain-http"));
    if place.login {
        pull.args(["--user", &format!("{USERNAME}:{PASSWORD}")]);
    }
    if let Some(authority) = &place.authority {
        // ctr speaks plain HTTP to this machine unless a file says otherwise (containerd's hosts.md).
        let settings =
            format!("server = \"https://{0}\"\n[host.\"https://{0}\"]\nca = \"{authority}\"\n", place.host);
        home.write(&format!("hosts/{}/hosts.toml", place.host), &settings);
        pull.arg("--hosts-dir").arg(home.path("hosts"));
    }
    succeed(pull.arg(&reference));
    serves(&containerd, &reference);

    let authority = place.authority.as_deref();
    let mut validate = newer(&home, "crane", &["validate", "--remote", &reference]);
    validate.envs(authority.map(|authority| ("SSL_CERT_FILE", authority)));
    if compression == "zstd" {
        // crane 0.20 takes every compressed layer for gzip, so it looks at all but the layers' content.
        validate.arg("--fast");
    }
    let said = succeed(&mut validate);
    assert!(String::from_utf8_lossy(&said.stdout).contains("PASS"), "{}", said.stderr);

    let mut fetch = newer(&home, "oras", &["manifest", "fetch"]);
    fetch.args(plain("--plain-http")).args(authority.map(|authority| format!("--ca-file={authority}")));
    let fetched = succeed(fetch.arg(&reference)).stdout;
    assert_eq!(fetched, std::fs::read(home.path("copy/manifest.json")).expect("skopeo's copy"));
}

/// Runs an image hardened and asks it for its page.
fn serves(engine: &dyn Engine, image: &str) {
    let port = free_port();
    let setting = format!("PORT={port}");
    let run = Run { image, options: &["--env", &setting], port: Some(port), ..Run::default() };
    let container = engine.run_detached(&run).unwrap_or_else(|error| panic!("{image}: {error}"));
    let page = container.fetch("/").unwrap_or_else(|error| panic!("{image}: {error}"));
    assert!(page.contains("<h1>Hello from Node v"), "{}: {page}", engine.name());
}

fn distribution(authentication: Authentication, tls: bool, compression: &str) {
    let configuration = Configuration { authentication, tls, ..Configuration::default() };
    let registry = Distribution::start(configuration).unwrap_or_else(|error| panic!("{error}"));
    let authority = registry.authority().map(|authority| authority.certificate().display().to_string());
    check(
        &Place { host: registry.host(), login: authentication != Authentication::Open, authority },
        compression,
    );
}

#[test]
fn everybody_reads_an_open_registry() {
    distribution(Authentication::Open, false, "zstd");
}

#[test]
fn everybody_reads_a_registry_with_passwords() {
    distribution(Authentication::Basic, false, "gzip");
}

#[test]
fn everybody_reads_a_registry_with_tokens() {
    distribution(Authentication::Token { lifetime: Duration::from_secs(300) }, false, "gzip");
}

#[test]
fn everybody_reads_a_registry_of_its_own_authority() {
    distribution(Authentication::Basic, true, "zstd");
}

#[test]
fn everybody_reads_a_registry_of_oci_1_1() {
    let registry = in_process::Registry::start().unwrap_or_else(|error| panic!("{error}"));
    check(&Place { host: registry.host(), login: false, authority: None }, "gzip");
}

/// An index of two platforms, copied whole between registries, is read by everybody for each of its platforms.
#[test]
fn everybody_reads_each_platform_of_an_index() {
    let home = Home::new();
    let joined = in_process::Registry::start().unwrap_or_else(|error| panic!("{error}"));
    let registry = Distribution::start(Configuration::default()).unwrap_or_else(|error| panic!("{error}"));
    let mut children = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let platform = format!("linux/{architecture}");
        let child = format!("{}/site:{architecture}", joined.host());
        let build = ["build", "./site", "--name", "site", "--platform", &platform, "--compression", "gzip"];
        succeed(home.floe(&build).args(["--to", &format!("docker://{child}")]));
        children.push(child);
    }
    let index = format!("{}/site:both", joined.host());
    let append = ["index", "append", "-m", &children[0], "-m", &children[1], "-t", &index];
    succeed(&mut newer(&home, "crane", &append));
    let image = format!("{}/team/site:1", registry.host());
    let source = format!("docker://{image}");
    succeed(&mut home.floe(&["copy", "--all", &format!("docker://{index}"), &source]));

    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    let containerd = Containerd::start().unwrap_or_else(|error| panic!("{error}"));
    for architecture in ["amd64", "arm64"] {
        let platform = format!("linux/{architecture}");
        let digest = answer(&mut home.floe(&["digest", &image, "--platform", &platform]));
        let manifest = succeed(&mut home.floe(&["manifest", &image, "--platform", &platform])).stdout;

        let pull = ["pull", "--quiet", "--tls-verify=false", "--platform", &platform, &image];
        succeed(home.let_in(podman.command()).args(pull));
        let inspect = ["image", "inspect", "--format", "{{.Architecture}} {{.RepoDigests}}", &image];
        let found = answer(home.let_in(podman.command()).args(inspect));
        assert!(found.starts_with(architecture) && found.contains(&digest), "podman: {found}");

        let layout = format!("dir:{}", home.path(architecture).display());
        let options = ["copy", "--quiet", "--src-tls-verify=false", "--override-arch", architecture];
        succeed(home.program("skopeo", &options).args([&source, &layout]));
        assert_eq!(
            std::fs::read(home.path(architecture).join("manifest.json")).expect("a copy"),
            manifest,
            "skopeo"
        );

        succeed(containerd.command().args([
            "images",
            "pull",
            "--plain-http",
            "--platform",
            &platform,
            &image,
        ]));

        let crane = answer(&mut newer(&home, "crane", &["digest", "--platform", &platform, &image]));
        assert_eq!(crane, digest, "crane");
        let validate = ["validate", "--remote", &image, "--platform", &platform];
        succeed(&mut newer(&home, "crane", &validate));
        let fetch = ["manifest", "fetch", "--plain-http", "--platform", &platform, &image];
        assert_eq!(succeed(&mut newer(&home, "oras", &fetch)).stdout, manifest, "oras");

        let pulled = format!("oci:pulled:{architecture}");
        succeed(&mut home.floe(&["pull", "--platform", &platform, &image, &pulled]));
        assert_eq!(answer(&mut home.floe(&["digest", &pulled])), digest, "floe");
    }
    succeed(&mut home.floe(&["tag", &index, "again"]));
    assert_eq!(joined.manifest("site", "again"), joined.manifest("site", "both"), "a tag of a whole index");
    let whole = succeed(&mut home.floe(&["manifest", &image])).stdout;
    assert_eq!(Some(whole), joined.manifest("site", "both"), "the index is the one that was joined");
}
