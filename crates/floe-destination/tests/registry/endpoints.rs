//! Each endpoint that floe uses, against the text of the OCI distribution-spec v1.1.

use floe_destination::ManifestDocument;
use floe_destination::registry::{ManifestError, ManifestName, PushConfig, PushSession, referrers_tag};
use floe_image::oci::{Descriptor, Digest, Manifest, MediaType, canonical_json};
use floe_image::{BlobError, BlobSource};
use floe_testkit::registry::in_process::{Behaviour, Endpoint, Fault, Registry};

use crate::image::{Blobs, client, commit, image, noise, reference, repository, tagged, whole};

fn pushed(server: &Registry, tag: &str) -> (ManifestDocument, Blobs) {
    let mut blobs = Blobs::default();
    let document = image(&mut blobs, "amd64", &[noise(7, 300_000)]);
    let session = PushSession::open(
        &client(),
        &reference(&server.host(), &format!("app:{tag}")),
        PushConfig::default(),
    )
    .expect("a session");
    tagged(&document, tag).push(&session, &blobs).expect("a push");
    (document, blobs)
}

/// "Determining Support" (end-1): one GET without credentials, before anything else.
#[test]
fn end_1_determining_support() {
    let server = Registry::start().expect("a registry");
    pushed(&server, "1");
    let requests = server.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("GET", "/v2/"));
    assert_eq!(server.count("GET", Endpoint::Base), 1);
}

/// "Pulling blobs" (end-2): the bytes are verified; a size or digest that is not the descriptor's is refused.
#[test]
fn end_2_pulling_blobs() {
    let server = Registry::start().expect("a registry");
    let (_, blobs) = pushed(&server, "1");
    let client = client();
    let repository = repository(&client, &server.host(), "app");
    let (digest, bytes) = blobs.bytes.iter().max_by_key(|(_, bytes)| bytes.len()).expect("a layer");
    let read = |size: u64| {
        let mut out = Vec::new();
        let blob = Descriptor::new(MediaType::LayerTar, *digest, size);
        repository.copy_to(&blob, &mut out).map(|()| out)
    };
    let size = bytes.len() as u64;
    assert_eq!(&read(size).expect("the blob"), bytes);
    for wrong in [size - 1, size + 1, 0] {
        assert!(matches!(read(wrong), Err(BlobError::WrongBytes { .. })), "{wrong}");
    }
    let absent = Descriptor::of(MediaType::LayerTar, b"absent");
    assert!(matches!(repository.copy_to(&absent, &mut Vec::new()), Err(BlobError::Missing(_))));
}

/// "Checking if content exists in the registry" (end-2, HEAD): asked before anything is sent, not again after.
#[test]
fn end_2_checking_if_content_exists() {
    let server = Registry::start().expect("a registry");
    let (document, blobs) = pushed(&server, "1");
    server.clear_requests();
    let session = PushSession::open(&client(), &reference(&server.host(), "app:2"), PushConfig::default());
    let report = tagged(&document, "2").push(&session.expect("a session"), &blobs).expect("a push");
    assert_eq!((report.sent_blobs, report.present_blobs), (0, 2));
    assert_eq!(server.count("HEAD", Endpoint::Blob), 2);
    assert_eq!(server.count("POST", Endpoint::Uploads), 0);
}

/// "Pulling manifests" (end-3): by tag and by digest, GET and HEAD; 404 is an answer.
#[test]
fn end_3_pulling_manifests() {
    let server = Registry::start().expect("a registry");
    let (document, _) = pushed(&server, "1");
    let client = client();
    let repository = repository(&client, &server.host(), "app");
    for name in [ManifestName::Tag("1".to_owned()), ManifestName::Digest(document.descriptor.digest)] {
        assert_eq!(repository.descriptor(&name).expect("an answer"), Some(document.descriptor.clone()));
        assert_eq!(repository.manifest(&name).expect("the manifest"), document);
    }
    let name = ManifestName::Tag("absent".to_owned());
    assert_eq!(repository.descriptor(&name).expect("an answer"), None);
    assert!(matches!(repository.manifest(&name), Err(ManifestError::Missing { .. })));
}

/// "POST then PUT" (end-4a, end-6): a known digest is one PUT with the digest behind the Location's own query.
#[test]
fn end_4a_end_6_post_then_put() {
    for absolute_locations in [true, false] {
        let server =
            Registry::with(Behaviour { absolute_locations, ..Behaviour::default() }).expect("a registry");
        pushed(&server, "1");
        let puts: Vec<_> = server
            .requests()
            .into_iter()
            .filter(|request| request.method == "PUT" && request.endpoint == Endpoint::Upload)
            .collect();
        assert_eq!(puts.len(), 2);
        for put in puts {
            let keys: Vec<_> = put.query.iter().map(|(key, _)| key.as_str()).collect();
            assert_eq!(keys, ["_state", "digest"]);
        }
        assert_eq!(server.count("PATCH", Endpoint::Upload), 0);
    }
}

/// "Pushing a blob in chunks" (end-5): one PATCH however large, also where chunks have a least length.
#[test]
fn end_5_streaming_patch() {
    use floe_image::BlobSink;
    use std::io::Write;

    let behaviour = Behaviour { chunk_min_length: Some(5 << 20), ..Behaviour::default() };
    let server = Registry::with(behaviour).expect("a registry");
    let client = client();
    let session = PushSession::open(&client, &reference(&server.host(), "app:1"), PushConfig::default());
    let session = session.expect("a session");
    for size in [0, 1, 100_000, 12 << 20] {
        let bytes = noise(1, size);
        let mut writer = session.begin(None).expect("a writer");
        writer.write_all(&bytes).expect("room");
        let blob = Descriptor::of(MediaType::LayerTar, &bytes);
        commit(&session, writer, &blob).unwrap_or_else(|error| panic!("{size}: {}", whole(&*error)));
        assert_eq!(server.blob("app", &blob.digest.to_string()), Some(bytes), "{size}");
    }
    assert_eq!(server.count("PATCH", Endpoint::Upload), 4);
}

/// "Pushing Manifests" (end-7): by tag, and by digest when there is no tag.
#[test]
fn end_7_pushing_manifests() {
    let server = Registry::start().expect("a registry");
    let (document, blobs) = pushed(&server, "1");
    let target = reference(&server.host(), &format!("app@{}", document.descriptor.digest));
    let mut untagged = tagged(&document, "none");
    untagged.tags.clear();
    let session = PushSession::open(&client(), &target, PushConfig::default()).expect("a session");
    untagged.push(&session, &blobs).expect("a push");
    assert_eq!(server.tags("app"), ["1"]);
}

/// "Listing Tags" (end-8): every page, by `Link`.
#[test]
fn end_8_listing_tags() {
    let server =
        Registry::with(Behaviour { page_size: Some(2), ..Behaviour::default() }).expect("a registry");
    for tag in ["a", "b", "c", "d", "e"] {
        pushed(&server, tag);
    }
    let client = client();
    assert_eq!(repository(&client, &server.host(), "app").tags().expect("tags"), ["a", "b", "c", "d", "e"]);
    let error = repository(&client, &server.host(), "absent").tags().expect_err("no such repository");
    let text = whole(&error);
    assert!(text.contains(&format!("{}/absent", server.host())) && text.contains("NAME_UNKNOWN"), "{text}");
}

/// "Deleting tags", "Deleting Manifests" (end-9): by tag, by digest, and refused where the registry does not delete.
#[test]
fn end_9_deleting() {
    let server = Registry::start().expect("a registry");
    let (document, _) = pushed(&server, "1");
    pushed(&server, "2");
    let client = client();
    let repository_there = repository(&client, &server.host(), "app");
    assert!(repository_there.delete_manifest(&ManifestName::Tag("1".to_owned())).expect("deleted"));
    assert_eq!(server.tags("app"), ["2"]);
    let by_digest = ManifestName::Digest(document.descriptor.digest);
    assert!(repository_there.delete_manifest(&by_digest).expect("deleted"));
    assert!(!repository_there.delete_manifest(&by_digest).expect("an answer"));

    let server = Registry::with(Behaviour { delete: false, ..Behaviour::default() }).expect("a registry");
    pushed(&server, "1");
    let error = repository(&client, &server.host(), "app")
        .delete_manifest(&ManifestName::Tag("1".to_owned()))
        .expect_err("the registry does not delete");
    assert_eq!(error.refusal().map(|refusal| refusal.status), Some(405));
}

/// "Mounting a blob from another repository" (end-11): `mount` and `from`; 201 ends it, 202 begins an upload.
#[test]
fn end_11_mounting_blobs() {
    for mount in [true, false] {
        let server = Registry::with(Behaviour { mount, ..Behaviour::default() }).expect("a registry");
        let (document, blobs) = pushed(&server, "1");
        server.clear_requests();
        let mount_sources = blobs.bytes.keys().map(|digest| (*digest, "app".to_owned())).collect();
        let config = PushConfig { mount_sources, ..PushConfig::default() };
        let target = reference(&server.host(), "other:1");
        let session = PushSession::open(&client(), &target, config).expect("a session");
        tagged(&document, "1").push(&session, &blobs).expect("a push");
        let posts: Vec<_> =
            server.requests().into_iter().filter(|request| request.method == "POST").collect();
        assert_eq!(posts.len(), 2);
        for post in posts {
            let keys: Vec<_> = post.query.iter().map(|(key, _)| key.as_str()).collect();
            assert_eq!((keys, post.status), (vec!["mount", "from"], Some(if mount { 201 } else { 202 })));
        }
        assert_eq!(server.count("PUT", Endpoint::Upload), if mount { 0 } else { 2 });
        assert!(blobs.bytes.keys().all(|digest| server.blob("other", &digest.to_string()).is_some()));
    }
}

/// "Pushing a blob in chunks" (end-13): a GET on a broken upload's location says where to go on.
#[test]
fn end_13_resuming_an_upload() {
    use floe_image::BlobSink;
    use std::io::Write;

    const CUT: u64 = 1 << 20;
    let server = Registry::start().expect("a registry");
    server.set_faults(|incoming| match (incoming.method, incoming.earlier) {
        ("PATCH", 0) => Fault::CutRequest { after: CUT },
        _ => Fault::None,
    });
    let client = client();
    let session = PushSession::open(&client, &reference(&server.host(), "app:1"), PushConfig::default());
    let session = session.expect("a session");
    let bytes = noise(1, 3 << 20);
    let mut writer = session.begin(None).expect("a writer");
    writer.write_all(&bytes).expect("room");
    let blob = Descriptor::of(MediaType::LayerTar, &bytes);
    commit(&session, writer, &blob).unwrap_or_else(|error| panic!("{}", whole(&*error)));
    assert!(server.blob("app", &blob.digest.to_string()) == Some(bytes));
    assert_eq!(server.count("GET", Endpoint::Upload), 1);
    let sent: Vec<u64> = server
        .requests()
        .iter()
        .filter(|request| request.method == "PATCH")
        .map(|request| request.body_len)
        .collect();
    assert_eq!(sent, [CUT, blob.size - CUT]);
}

/// "Listing Referrers" (end-12a, end-12b) and "Referrers Tag Schema": with the API and without.
#[test]
fn end_12_referrers() {
    for referrers in [true, false] {
        let server = Registry::with(Behaviour { referrers, ..Behaviour::default() }).expect("a registry");
        let (subject, _) = pushed(&server, "1");
        let client = client();
        let repository = repository(&client, &server.host(), "app");
        let subject_digest = subject.descriptor.digest;
        assert_eq!(repository.referrers(subject_digest, None).expect("a list"), []);

        let mut expected = Vec::new();
        for kind in ["application/x-one", "application/x-two"] {
            let mut blobs = Blobs::default();
            let empty =
                blobs.add(MediaType::Other("application/vnd.oci.empty.v1+json".to_owned()), b"{}".to_vec());
            let mut manifest = Manifest::image(empty.clone(), vec![empty], Default::default());
            manifest.artifact_type = Some(MediaType::from(kind));
            manifest.subject = Some(subject.descriptor.clone());
            let document = ManifestDocument::new(MediaType::Manifest, canonical_json::to_vec(&manifest));
            let mut image = tagged(&document, "none");
            image.tags.clear();
            let target = reference(&server.host(), &format!("app@{}", document.descriptor.digest));
            let session = PushSession::open(&client, &target, PushConfig::default()).expect("a session");
            image.push(&session, &blobs).expect("a push");
            expected.push(document.descriptor.digest);
        }
        let digests = |kind: Option<&str>| -> Vec<Digest> {
            let kind = kind.map(MediaType::from);
            let mut found: Vec<Digest> = repository
                .referrers(subject_digest, kind.as_ref())
                .expect("a list")
                .iter()
                .map(|descriptor| descriptor.digest)
                .collect();
            found.sort();
            found
        };
        assert_eq!(digests(Some("application/x-two")), [expected[1]], "with the API: {referrers}");
        expected.sort();
        assert_eq!(digests(None), expected, "with the API: {referrers}");
        assert_eq!(server.tags("app").contains(&referrers_tag(subject_digest)), !referrers);
    }
}
