//! Against distribution 2.8 as Debian ships it: open, with passwords, with tokens, with TLS of its own authority.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use floe_destination::Selection;
use floe_destination::registry::credentials::{Credential, Secret};
use floe_destination::registry::{
    ExchangeError, ManifestName, PushConfig, PushSession, Registry, RegistryConfig,
};
use floe_image::oci::{Descriptor, MediaType};
use floe_image::{BlobSink, BlobSource};
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use floe_testkit::registry::{PASSWORD, TokenServer, USERNAME};
use tempfile::TempDir;

use crate::image::{Blobs, Tagged, config, image, index, noise, pull, reference, repository, tagged, whole};

const TOKEN: Authentication = Authentication::Token { lifetime: Duration::from_secs(300) };

fn start(authentication: Authentication, tls: bool, client_certificates: bool) -> Distribution {
    Distribution::start(Configuration { authentication, tls, client_certificates }).expect("a registry")
}

fn with_login(host: &str, credential: Credential) -> RegistryConfig {
    let mut config = config();
    config.credentials.explicit.insert(host.to_owned(), credential);
    config
}

/// A layer whose digest nobody knows yet leaves as one PATCH; skopeo, which is not ours, reads all of it.
#[test]
fn streams_and_is_read_by_skopeo() {
    let server = start(Authentication::Open, false, false);
    let client = Registry::new(config()).expect("a client");
    let mut blobs = Blobs::default();
    let large = noise(9, 20 << 20);
    let document = image(&mut blobs, "amd64", std::slice::from_ref(&large));
    let session = PushSession::open(&client, &reference(&server.host(), "team/app:1"), PushConfig::default());
    let session = session.expect("a session");
    let blob = Descriptor::of(MediaType::LayerTar, &large);
    let mut writer = session.begin(None).expect("a writer");
    writer.write_all(&large).expect("room");
    writer.commit(&blob).unwrap_or_else(|error| panic!("{}", whole(&error)));
    tagged(&document, "1").push(&session, &blobs).unwrap_or_else(|error| panic!("{}", whole(&error)));
    assert!(!blobs.asked().contains(&blob.digest));

    let folder = TempDir::new().expect("a folder");
    let output = Command::new("skopeo")
        .args(["copy", "--src-tls-verify=false", &format!("docker://{}/team/app:1", server.host())])
        .arg(format!("dir:{}", folder.path().display()))
        .output()
        .expect("skopeo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read(folder.path().join(blob.digest.hex())).expect("the layer") == large);
}

/// Pushes an index of two images and pulls it back, whole.
fn round_trip(config: RegistryConfig, host: &str) {
    let client = Registry::new(config).expect("a client");
    let mut blobs = Blobs::default();
    let shared = noise(1, 200_000);
    let amd64 = image(&mut blobs, "amd64", &[shared.clone(), noise(2, 3_000_000), Vec::new()]);
    let arm64 = image(&mut blobs, "arm64", &[shared]);
    let joined = index(&[("amd64", &amd64), ("arm64", &arm64)]);
    let push = Tagged::index(vec![amd64, arm64], joined, &["1", "latest"]);
    let digest = push.manifests.top().descriptor.digest;
    let target = reference(host, "team/app:1");
    let session = PushSession::open(&client, &target, PushConfig::default()).expect("a session");
    push.push(&session, &blobs).unwrap_or_else(|error| panic!("{}", whole(&error)));

    let repository = repository(&client, host, "team/app");
    assert_eq!(repository.tags().expect("tags"), ["1", "latest"]);
    assert_eq!(pull(&repository, "latest", &Selection::All).expect("a pull"), push.manifests);
    for (digest, bytes) in &blobs.bytes {
        let mut out = Vec::new();
        let blob = Descriptor::new(MediaType::LayerTar, *digest, bytes.len() as u64);
        repository.copy_to(&blob, &mut out).expect("a blob");
        assert_eq!(&out, bytes);
    }
    assert_eq!(repository.referrers(digest, None).expect("a list"), []);

    let before = client.request_count();
    let session = PushSession::open(&client, &target, PushConfig::default()).expect("a session");
    assert!(push.push(&session, &blobs).expect("a push").unchanged);
    assert!(client.request_count() - before <= 3);
    assert!(repository.delete_manifest(&ManifestName::Digest(digest)).expect("deleted"));
}

#[test]
fn open() {
    let server = start(Authentication::Open, false, false);
    round_trip(config(), &server.host());
    assert!(!server.log().contains("http.response.status=5"), "{}", server.log());
}

#[test]
fn with_passwords() {
    let server = start(Authentication::Basic, false, false);
    round_trip(with_login(&server.host(), Credential::password(USERNAME, PASSWORD)), &server.host());
}

#[test]
fn with_tokens_for_a_password() {
    let server = start(TOKEN, false, false);
    round_trip(with_login(&server.host(), Credential::password(USERNAME, PASSWORD)), &server.host());
    let issued = server.token_server().expect("a token server").issued();
    // One token to push, one to pull, one to delete.
    assert!(issued.len() <= 3, "{issued:?}");
    assert!(issued.iter().all(|token| token.grant == "GET" && token.account.as_deref() == Some(USERNAME)));
    assert_eq!(issued[0].scopes, ["repository:team/app:pull,push"]);
}

#[test]
fn with_tokens_for_an_identity_token() {
    let server = start(TOKEN, false, false);
    let credential =
        Credential::IdentityToken { username: None, token: Secret::new(TokenServer::IDENTITY_TOKEN) };
    round_trip(with_login(&server.host(), credential), &server.host());
    let issued = server.token_server().expect("a token server").issued();
    assert!(issued.iter().all(|token| token.grant == "refresh_token"), "{issued:?}");
}

#[test]
fn refuses_wrong_logins_clearly() {
    for authentication in [Authentication::Basic, TOKEN] {
        let server = start(authentication, false, false);
        let client = Registry::new(config()).expect("a client");
        client
            .check_login(&server.host(), Credential::password(USERNAME, PASSWORD))
            .expect("the right login");
        let wrong = client.check_login(&server.host(), Credential::password(USERNAME, "hunter2"));
        let text = whole(&wrong.expect_err("a wrong login"));
        assert!(text.contains("401") && !text.contains("hunter2"), "{text}");
        let error = repository(&client, &server.host(), "team/app").tags().expect_err("nobody is logged in");
        assert!(whole(&error).contains("401"), "{}", whole(&error));
    }
}

#[test]
fn with_tls_of_its_own_authority() {
    for client_certificates in [false, true] {
        let server = start(Authentication::Open, true, client_certificates);
        let authority = server.authority().expect("an authority");
        let folder = TempDir::new().expect("a folder");
        let host_folder = folder.path().join(server.host());
        fs::create_dir(&host_folder).expect("a folder");
        fs::copy(authority.certificate(), host_folder.join("ca.crt")).expect("a certificate");
        let mut trusting = config();
        trusting.certificate_folders = vec![folder.path().join("absent"), folder.path().to_owned()];
        if client_certificates {
            let client = Registry::new(trusting.clone()).expect("a client");
            let error =
                client.check_login(&server.host(), Credential::Anonymous).expect_err("no certificate");
            assert!(matches!(error, ExchangeError::ClientCertificate { .. }), "{error:?}");
            let (certificate, key) = authority.issue("client").expect("a certificate");
            fs::copy(certificate, host_folder.join("client.cert")).expect("a certificate");
            fs::copy(key, host_folder.join("client.key")).expect("a key");
        }
        round_trip(trusting, &server.host());
    }
}

#[test]
fn refuses_unknown_authorities_unless_told_otherwise() {
    let server = start(Authentication::Open, true, false);
    let client = Registry::new(config()).expect("a client");
    let error = client.check_login(&server.host(), Credential::Anonymous).expect_err("an unknown authority");
    assert!(matches!(error, ExchangeError::Untrusted { .. }), "{error:?}");
    let mut insecure = config();
    insecure.insecure_hosts.insert(server.host());
    round_trip(insecure, &server.host());
}

#[test]
fn follows_registries_conf() {
    let primary = start(Authentication::Open, false, false);
    let mirror = start(Authentication::Open, false, false);
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("registries.conf");
    let text = format!(
        "[[registry]]\nprefix = \"app.example\"\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}\"\n\
         [[registry]]\nprefix = \"evil.example\"\nblocked = true\n",
        primary.host(),
        mirror.host()
    );
    fs::write(&path, text).expect("a file");
    let mut config = config();
    config.registries_conf = vec![path];
    // Pushed to the registry alone; a mirror that has nothing is no obstacle to pulls.
    round_trip(config.clone(), "app.example");
    assert!(!mirror.log().contains("POST"), "{}", mirror.log());
    assert!(mirror.log().contains("GET /v2/team/app/manifests/latest"), "{}", mirror.log());
    let client = Registry::new(config).expect("a client");
    assert!(client.repository(&reference("evil.example", "x")).is_err());
}
