//! Pushing: what is sent, in how many requests, and what comes back.

use std::collections::BTreeMap;
use std::io::Write;

use floe_destination::registry::{PushConfig, PushReport, PushSession, Registry};
use floe_destination::{ManifestDocument, Selection};
use floe_image::image::MEMO_KEY_ANNOTATION;
use floe_image::layer::{Knowledge, MemoKey};
use floe_image::oci::{DiffId, Digest, Manifest, MediaType, Platform, canonical_json};
use floe_image::{BlobSink, BlobSource};
use floe_testkit::registry::in_process::{self, Behaviour, Endpoint};

use crate::image::{Blobs, Tagged, client, commit, image, index, noise, pull, reference, repository, tagged};

fn push(client: &Registry, host: &str, image: &Tagged, blobs: &Blobs) -> PushReport {
    push_with(client, host, image, blobs, PushConfig::default())
}

fn push_with(client: &Registry, host: &str, image: &Tagged, blobs: &Blobs, config: PushConfig) -> PushReport {
    let target = reference(host, &format!("team/app:{}", image.tags.first().map_or("none", |tag| tag)));
    let session = PushSession::open(client, &target, config).expect("a session");
    image.push(&session, blobs).expect("a push")
}

fn layers(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|seed| noise(seed + 1, 1_000 + usize::try_from(seed).expect("small") * 777)).collect()
}

#[test]
fn keeps_to_the_request_budgets() {
    let server = in_process::Registry::start().expect("a registry");
    let mut blobs = Blobs::default();
    let first = tagged(&image(&mut blobs, "amd64", &layers(20)), "1");

    let report = push(&client(), &server.host(), &first, &blobs);
    assert_eq!((report.sent_blobs, report.unchanged), (21, false));
    let cold = server.requests().len();
    // 3 a blob, and the contact, the tag and the manifest.
    assert_eq!(cold, 3 * 21 + 3);

    server.clear_requests();
    let report = push(&client(), &server.host(), &first, &blobs);
    assert!(report.unchanged);
    // The contact and the tag.
    assert_eq!(server.requests().len(), 2);

    server.clear_requests();
    let mut changed = layers(20);
    changed[7] = noise(99, 5_000);
    let second = tagged(&image(&mut blobs, "amd64", &changed), "1");
    blobs.asked.lock().expect("no panic").clear();
    let report = push(&client(), &server.host(), &second, &blobs);
    assert_eq!((report.sent_blobs, report.present_blobs), (2, 20 - 1 + 2));
    assert_eq!(blobs.asked().len(), 2, "only the changed layer and the config are read");
    // Contact, tag, previous manifest, manifest; and 3 for each of the two blobs.
    assert_eq!(server.requests().len(), 4 + 6);
    assert_eq!(server.manifest("team/app", "1").as_ref(), Some(&second.manifests.top().bytes));
}

#[test]
fn a_machine_without_a_memo_learns_from_the_previous_image() {
    let server = in_process::Registry::start().expect("a registry");
    let mut blobs = Blobs::default();
    let document = image(&mut blobs, "amd64", &layers(20));
    push(&client(), &server.host(), &tagged(&document, "1"), &blobs);

    server.clear_requests();
    let client = client();
    let session = PushSession::open(&client, &reference(&server.host(), "team/app:1"), PushConfig::default())
        .expect("a session");
    assert_eq!(session.previous().expect("the previous image"), std::slice::from_ref(&document));
    let nothing = Blobs::default();
    assert!(tagged(&document, "1").push(&session, &nothing).expect("a push").unchanged);
    assert_eq!(server.requests().len(), 2);
}

/// An image whose layers carry their memo keys, as floe writes them: the key of a layer is the digest of its bytes.
fn speaking(blobs: &mut Blobs, architecture: &str, layers: &[Vec<u8>]) -> ManifestDocument {
    let silent = image(blobs, architecture, layers);
    let mut manifest: Manifest = serde_json::from_slice(&silent.bytes).expect("a manifest");
    for layer in &mut manifest.layers {
        layer.annotations.insert(MEMO_KEY_ANNOTATION.to_owned(), layer.digest.to_string());
    }
    ManifestDocument::new(MediaType::Manifest, canonical_json::to_vec(&manifest))
}

#[test]
fn an_index_speaks_for_each_of_its_images() {
    let server = in_process::Registry::start().expect("a registry");
    let mut blobs = Blobs::default();
    let (one, other) = (noise(1, 1_000), noise(2, 1_000));
    let amd64 = speaking(&mut blobs, "amd64", std::slice::from_ref(&one));
    let arm64 = speaking(&mut blobs, "arm64", std::slice::from_ref(&other));
    let joined = index(&[("amd64", &amd64), ("arm64", &arm64)]);
    let both = Tagged::index(vec![amd64, arm64], joined, &["1"]);
    push(&client(), &server.host(), &both, &blobs);

    server.clear_requests();
    let session =
        PushSession::open(&client(), &reference(&server.host(), "team/app:1"), PushConfig::default())
            .expect("a session");
    for bytes in [&one, &other] {
        let digest = Digest::of(bytes);
        let layer = session.layer(&MemoKey::from_digest(digest)).expect("a known layer");
        assert_eq!((layer.descriptor.digest, layer.diff_id), (digest, DiffId::new(digest)));
    }
    assert_eq!(session.layer(&MemoKey::from_digest(Digest::of(b"another"))), None);
    assert_eq!(server.requests().len(), 6, "hello, the index, and of each image its manifest and config");
}

#[test]
fn streams_blobs_of_unknown_digest() {
    let server = in_process::Registry::start().expect("a registry");
    let mut blobs = Blobs::default();
    let large = noise(3, 3 << 20);
    let document = image(&mut blobs, "amd64", &[large.clone(), noise(4, 10)]);
    let client = client();
    let session = PushSession::open(&client, &reference(&server.host(), "team/app:1"), PushConfig::default())
        .expect("a session");
    let manifest: floe_image::oci::Manifest = serde_json::from_slice(&document.bytes).expect("a manifest");

    let layer = &manifest.layers[0];
    assert!(!session.holds(layer).expect("an answer"));
    let mut writer = session.begin(None).expect("a writer");
    for part in large.chunks(70_001) {
        writer.write_all(part).expect("room");
    }
    writer.commit(layer).expect("a commit");
    assert!(session.holds(layer).expect("an answer"));

    let layer = &manifest.layers[1];
    let mut writer = session.begin(Some(layer)).expect("a writer");
    writer.write_all(&blobs.bytes[&layer.digest]).expect("room");
    writer.commit(layer).expect("a commit");

    // Given up: nothing is left of it.
    let mut writer = session.begin(None).expect("a writer");
    writer.write_all(b"half").expect("room");
    drop(writer);

    tagged(&document, "1").push(&session, &blobs).expect("a push");
    assert_eq!(blobs.asked(), [manifest.config.digest], "what was streamed is not asked for again");
    let patched = |request: &in_process::Request| request.method == "PATCH" && request.status == Some(202);
    assert_eq!(server.requests().iter().filter(|request| patched(request)).count(), 1);
    assert_eq!(server.blob("team/app", &manifest.layers[0].digest.to_string()), Some(large));
}

#[test]
fn refuses_other_bytes_than_were_announced() {
    let server = in_process::Registry::start().expect("a registry");
    let client = client();
    let session = PushSession::open(&client, &reference(&server.host(), "team/app:1"), PushConfig::default())
        .expect("a session");
    let mut blobs = Blobs::default();
    let blob = blobs.add(MediaType::LayerTar, noise(1, 1_000));
    for (wrong, announced) in [(noise(2, 1_000), true), (noise(2, 999), true), (noise(2, 1_000), false)] {
        let mut writer = session.begin(announced.then_some(&blob)).expect("a writer");
        writer.write_all(&wrong).expect("room");
        assert!(commit(&session, writer, &blob).is_err());
    }
    let mut writer = session.begin(Some(&blob)).expect("a writer");
    assert!(writer.write_all(&noise(2, 1_001)).is_err());
    drop(writer);
    assert_eq!(server.blob("team/app", &blob.digest.to_string()), None);
}

#[test]
fn mounts_from_a_known_repository() {
    for (mounts, expected_mounted) in [(true, 1), (false, 0)] {
        let server = in_process::Registry::with(Behaviour { mount: mounts, ..Behaviour::default() })
            .expect("a registry");
        let mut blobs = Blobs::default();
        let base = image(&mut blobs, "amd64", &[noise(1, 5_000)]);
        let target = reference(&server.host(), "base:1");
        let session = PushSession::open(&client(), &target, PushConfig::default()).expect("a session");
        tagged(&base, "1").push(&session, &blobs).expect("a push");
        let digest = floe_image::oci::Digest::of(&noise(1, 5_000));
        let app = image(&mut blobs, "amd64", &[noise(1, 5_000), noise(2, 10)]);
        server.clear_requests();
        let config = PushConfig {
            mount_sources: BTreeMap::from([(digest, "base".to_owned())]),
            ..PushConfig::default()
        };
        let report = push_with(&client(), &server.host(), &tagged(&app, "1"), &blobs, config);
        assert_eq!(report.mounted_blobs, expected_mounted);
        // A refused mount has begun the upload: no second POST.
        assert_eq!(server.count("POST", Endpoint::Uploads), 3);
        assert!(server.manifest("team/app", "1").is_some());
    }
}

/// Where blobs are may be learnt after the session was opened; another host's are no use.
#[test]
fn mounts_what_lies_on_the_same_host() {
    let server = in_process::Registry::start().expect("a registry");
    let mut blobs = Blobs::default();
    let base = image(&mut blobs, "amd64", &[noise(1, 5_000)]);
    push_with(&client(), &server.host(), &tagged(&base, "1"), &blobs, PushConfig::default());
    let session = PushSession::open(&client(), &reference(&server.host(), "other:1"), PushConfig::default())
        .expect("a session");
    let app = image(&mut blobs, "amd64", &[noise(1, 5_000), noise(2, 10)]);
    let digests = [noise(1, 5_000), noise(2, 10)].map(|bytes| floe_image::oci::Digest::of(&bytes));
    let elsewhere = "registry.example.com/team/app".parse().expect("a reference");
    session.mount_from(&BTreeMap::from([
        (digests[0], reference(&server.host(), "team/app:1")),
        (digests[1], elsewhere),
    ]));
    let report = tagged(&app, "1").push(&session, &blobs).expect("a push");
    assert_eq!((report.mounted_blobs, report.sent_blobs), (1, 2));
}

#[test]
fn recovers_when_the_previous_manifest_misleads() {
    let server = in_process::Registry::start().expect("a registry");
    let mut blobs = Blobs::default();
    let first = image(&mut blobs, "amd64", &layers(3));
    push(&client(), &server.host(), &tagged(&first, "1"), &blobs);
    // The layer is deleted behind the manifest's back.
    let gone = floe_image::oci::Digest::of(&layers(3)[1]);
    let answer = floe_testkit::http::client::exchange(
        server.address(),
        "DELETE",
        &format!("/v2/team/app/blobs/{gone}"),
        &[],
        b"",
    );
    assert_eq!(answer.expect("an answer").status, 202);

    let mut more = layers(3);
    more.push(noise(50, 100));
    let second = image(&mut blobs, "amd64", &more);
    push(&client(), &server.host(), &tagged(&second, "1"), &blobs);
    assert_eq!(server.manifest("team/app", "1"), Some(second.bytes));
    assert!(server.blob("team/app", &gone.to_string()).is_some());
}

#[test]
fn sends_children_before_the_index_and_shared_layers_once() {
    let server = in_process::Registry::start().expect("a registry");
    let mut blobs = Blobs::default();
    let shared = noise(1, 4_000);
    let amd64 = image(&mut blobs, "amd64", &[shared.clone(), noise(2, 10)]);
    let arm64 = image(&mut blobs, "arm64", &[shared, noise(3, 10)]);
    let joined = index(&[("amd64", &amd64), ("arm64", &arm64)]);
    let push_image = Tagged::index(vec![amd64.clone(), arm64.clone()], joined.clone(), &["1", "latest"]);
    let report = push(&client(), &server.host(), &push_image, &blobs);
    assert_eq!(report.sent_blobs, 3 + 2);
    let puts: Vec<String> = server
        .requests()
        .into_iter()
        .filter(|request| request.method == "PUT" && request.endpoint == Endpoint::Manifest)
        .map(|request| request.path.rsplit('/').next().unwrap_or_default().to_owned())
        .collect();
    let digest = |document: &ManifestDocument| document.descriptor.digest.to_string();
    assert_eq!(puts, [digest(&amd64), digest(&arm64), "1".to_owned(), "latest".to_owned()]);

    // Both platforms, and all of it, come back as they went.
    let client = client();
    let repository = repository(&client, &server.host(), "team/app");
    let all = pull(&repository, "latest", &Selection::All).expect("a pull");
    assert_eq!(all, push_image.manifests);
    for (platform, expected) in [("linux/amd64", &amd64), ("linux/arm64", &arm64)] {
        let platform: Platform = platform.parse().expect("a platform");
        let one = pull(&repository, "latest", &Selection::Platform(platform)).expect("a pull");
        assert_eq!(one.documents(), std::slice::from_ref(expected));
    }
    let missing = Selection::Platform("linux/s390x".parse().expect("a platform"));
    let error = pull(&repository, "latest", &missing).expect_err("there is none");
    assert!(
        error.to_string().ends_with("no image for linux/s390x; it has linux/amd64, linux/arm64"),
        "{error}"
    );
    for (digest, bytes) in &blobs.bytes {
        let blob = floe_image::oci::Descriptor::new(MediaType::LayerTar, *digest, bytes.len() as u64);
        let mut out = Vec::new();
        repository.copy_to(&blob, &mut out).expect("a blob");
        assert_eq!(&out, bytes);
    }

    // The same children under another index: neither blobs nor children go again.
    server.clear_requests();
    let other = index(&[("arm64", &arm64), ("amd64", &amd64)]);
    let again = Tagged::index(vec![amd64, arm64], other, &["1"]);
    let report = push(&client, &server.host(), &again, &blobs);
    assert_eq!((report.sent_blobs, server.count("PUT", Endpoint::Manifest)), (0, 1));
}
