//! The real registry, with each kind of authentication, as `skopeo` sees it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use floe_testkit::http::client::exchange;
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use floe_testkit::registry::{Issued, PASSWORD, TokenServer, USERNAME};
use floe_testkit::service::output::{COMMAND_TIMEOUT, CommandError, Output, run};
use floe_testkit::service::program;

use crate::busybox;

/// Runs `skopeo` with a policy that asks for no signatures.
pub(crate) fn skopeo(arguments: &[&str]) -> anyhow::Result<Result<Output, CommandError>> {
    let mut command = Command::new(program::find("skopeo")?);
    Ok(run(command.arg("--insecure-policy").args(arguments), COMMAND_TIMEOUT))
}

/// Pushes the image with `skopeo` and pulls it back, with these options for the registry's side.
fn push_and_pull(host: &str, options: &[(&str, &str)]) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("busybox.tar");
    busybox::write_archive(&archive)?;
    let archive = format!("docker-archive:{}", archive.display());
    let image = format!("docker://{host}/test/busybox:1");
    let layout = format!("dir:{}", directory.path().join("pulled").display());

    let side = |prefix: &str| -> Vec<String> {
        options.iter().map(|(name, value)| format!("--{prefix}-{name}={value}")).collect()
    };
    let (push, pull) = (side("dest"), side("src"));
    let copy = |side: &[String], from: &str, to: &str| -> anyhow::Result<()> {
        let side: Vec<&str> = side.iter().map(String::as_str).collect();
        skopeo(&[&["copy", "--quiet"], side.as_slice(), &[from, to]].concat())??;
        Ok(())
    };
    copy(&push, &archive, &image)?;
    copy(&pull, &image, &layout)?;
    let manifest = fs::read(directory.path().join("pulled/manifest.json"))?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest)?;
    for descriptor in manifest["layers"].as_array().into_iter().flatten().chain([&manifest["config"]]) {
        let digest = descriptor["digest"].as_str().context("a descriptor has a digest")?;
        let digits = digest.trim_start_matches("sha256:");
        let content = fs::read(directory.path().join("pulled").join(digits))?;
        assert_eq!(busybox::sha256(&content), digits);
    }
    Ok(())
}

const PLAIN: (&str, &str) = ("tls-verify", "false");

#[test]
fn an_open_registry_takes_an_image() -> anyhow::Result<()> {
    let registry = Distribution::start(Configuration::default())?;
    push_and_pull(&registry.host(), &[PLAIN])?;
    assert!(registry.storage().join("docker/registry/v2/repositories/test/busybox").is_dir());
    assert!(registry.log().contains("/v2/test/busybox/manifests/1"), "{}", registry.log());
    Ok(())
}

#[test]
fn a_registry_with_passwords_wants_the_right_one() -> anyhow::Result<()> {
    let configuration = Configuration { authentication: Authentication::Basic, ..Configuration::default() };
    let registry = Distribution::start(configuration)?;
    let response = exchange(registry.address(), "GET", "/v2/", &[], &[])?;
    assert_eq!(response.status, 401);
    assert_eq!(response.headers.find("www-authenticate"), Some("Basic realm=\"floe\""));
    let right = format!("{USERNAME}:{PASSWORD}");
    push_and_pull(&registry.host(), &[PLAIN, ("creds", &right)])?;
    let wrong = format!("{USERNAME}:open");
    assert!(push_and_pull(&registry.host(), &[PLAIN, ("creds", &wrong)]).is_err());
    assert!(push_and_pull(&registry.host(), &[PLAIN]).is_err());
    Ok(())
}

#[test]
fn a_registry_with_tokens_wants_a_token_of_its_own() -> anyhow::Result<()> {
    let authentication = Authentication::Token { lifetime: Duration::from_secs(60) };
    let registry = Distribution::start(Configuration { authentication, ..Configuration::default() })?;
    let tokens = registry.token_server().context("tokens come from a server")?;
    let response = exchange(registry.address(), "GET", "/v2/", &[], &[])?;
    assert_eq!(response.status, 401);
    let challenge = response.headers.find("www-authenticate").context("it says where tokens come from")?;
    assert_eq!(challenge, format!("Bearer realm=\"{}\",service=\"floe test registry\"", tokens.realm()));

    assert!(push_and_pull(&registry.host(), &[PLAIN]).is_err(), "nobody may do nothing");
    push_and_pull(&registry.host(), &[PLAIN, ("creds", &format!("{USERNAME}:{PASSWORD}"))])?;
    let expected = Issued {
        grant: "GET".to_owned(),
        account: Some(USERNAME.to_owned()),
        scopes: vec!["repository:test/busybox:pull,push".to_owned()],
    };
    assert!(tokens.issued().contains(&expected), "{:?}", tokens.issued());

    // The identity token of a `docker login`, as skopeo finds it in an authentication file; `auth` is `floe:`.
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("auth.json");
    let entry = serde_json::json!({ "auth": "ZmxvZTo=", "identitytoken": TokenServer::IDENTITY_TOKEN });
    fs::write(&file, serde_json::json!({ "auths": { registry.host(): entry } }).to_string())?;
    let file = file.to_str().context("it is UTF-8")?;
    let image = format!("docker://{}/test/busybox:1", registry.host());
    skopeo(&["inspect", "--tls-verify=false", "--authfile", file, &image])??;
    assert!(tokens.issued().iter().any(|issued| issued.grant == "refresh_token"), "{:?}", tokens.issued());
    Ok(())
}

#[test]
fn a_registry_with_tls_is_trusted_through_its_authority() -> anyhow::Result<()> {
    let registry = Distribution::start(Configuration { tls: true, ..Configuration::default() })?;
    let authority = registry.authority().context("it has one")?;
    let trust = tempfile::tempdir()?;
    fs::copy(authority.certificate(), trust.path().join("ca.crt"))?;
    push_and_pull(&registry.host(), &[("cert-dir", path(trust.path())?)])?;
    assert!(push_and_pull(&registry.host(), &[]).is_err(), "nobody else trusts it");
    Ok(())
}

#[test]
fn a_registry_may_want_a_client_certificate() -> anyhow::Result<()> {
    let configuration = Configuration { tls: true, client_certificates: true, ..Configuration::default() };
    let registry = Distribution::start(configuration)?;
    let authority = registry.authority().context("it has one")?;
    let trust = tempfile::tempdir()?;
    fs::copy(authority.certificate(), trust.path().join("ca.crt"))?;
    assert!(push_and_pull(&registry.host(), &[("cert-dir", path(trust.path())?)]).is_err());
    let (certificate, key) = authority.issue("client")?;
    fs::copy(certificate, trust.path().join("client.cert"))?;
    fs::copy(key, trust.path().join("client.key"))?;
    push_and_pull(&registry.host(), &[("cert-dir", path(trust.path())?)])
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("it is UTF-8")
}
