//! Broken uploads and downloads go on where they stopped, where the registry can.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use floe_destination::registry::{PushConfig, PushSession, Registry};
use floe_image::oci::{Descriptor, MediaType};
use floe_image::{BlobSink, BlobSource};
use floe_testkit::registry::in_process::{self, Behaviour, Endpoint, Fault};

use crate::image::{Blobs, client, commit, config, image, noise, reference, repository, tagged, whole};

/// Larger than what is kept in memory.
const LARGE: usize = 24 << 20;

fn start(resume: bool) -> in_process::Registry {
    in_process::Registry::with(Behaviour { resume, ..Behaviour::default() }).expect("a registry")
}

/// Cuts the first two requests of a kind after so many bytes of their bodies: a small blob's may be one of them, and
/// is unharmed.
fn cut_first(server: &in_process::Registry, method: &'static str, after: u64) {
    server.set_faults(move |incoming| {
        let is_cut =
            incoming.method == method && incoming.endpoint == Endpoint::Upload && incoming.earlier < 2;
        if is_cut { Fault::CutRequest { after } } else { Fault::None }
    });
}

#[test]
fn a_known_blob_goes_on_or_begins_anew() {
    for resume in [true, false] {
        let server = start(resume);
        let mut blobs = Blobs::default();
        let layer = noise(1, LARGE);
        let document = image(&mut blobs, "amd64", std::slice::from_ref(&layer));
        cut_first(&server, "PUT", 20 << 20);
        let target = reference(&server.host(), "app:1");
        let session = PushSession::open(&client(), &target, PushConfig::default()).expect("a session");
        tagged(&document, "1").push(&session, &blobs).unwrap_or_else(|error| panic!("{}", whole(&error)));
        let digest = Descriptor::of(MediaType::LayerTar, &layer).digest;
        assert_eq!(server.blob("app", &digest.to_string()), Some(layer));
        let reads = blobs.asked().into_iter().filter(|asked| *asked == digest).count();
        assert!(if resume { reads == 1 } else { reads >= 2 }, "resume: {resume}, read {reads} times");
    }
}

#[test]
fn a_stream_goes_on_or_fails_clearly() {
    for resume in [true, false] {
        let server = start(resume);
        cut_first(&server, "PATCH", 20 << 20);
        let client = client();
        let target = reference(&server.host(), "app:1");
        let session = PushSession::open(&client, &target, PushConfig::default()).expect("a session");
        let layer = noise(1, LARGE);
        let blob = Descriptor::of(MediaType::LayerTar, &layer);
        let mut writer = session.begin(None).expect("a writer");
        let result = match writer.write_all(&layer) {
            Ok(()) => commit(&session, writer, &blob).map_err(|error| whole(&*error)),
            Err(error) => {
                Err(format!("{error}: {}", error.get_ref().map(|inner| whole(inner)).unwrap_or_default()))
            }
        };
        match result {
            Ok(()) => assert!(resume),
            Err(text) => {
                assert!(!resume && text.contains("begin anew") && text.contains(&server.host()), "{text}")
            }
        }
        assert_eq!(server.blob("app", &blob.digest.to_string()).is_some(), resume);
    }
}

#[test]
fn a_small_stream_survives_without_the_registrys_help() {
    let server = start(false);
    cut_first(&server, "PATCH", 1_000);
    let client = client();
    let target = reference(&server.host(), "app:1");
    let session = PushSession::open(&client, &target, PushConfig::default()).expect("a session");
    let layer = noise(1, 2 << 20);
    let mut writer = session.begin(None).expect("a writer");
    writer.write_all(&layer).expect("room");
    commit(&session, writer, &Descriptor::of(MediaType::LayerTar, &layer))
        .unwrap_or_else(|error| panic!("{}", whole(&*error)));
}

#[test]
fn a_download_goes_on() {
    let server = start(true);
    let mut blobs = Blobs::default();
    let layer = noise(1, LARGE);
    let document = image(&mut blobs, "amd64", std::slice::from_ref(&layer));
    let target = reference(&server.host(), "app:1");
    let session = PushSession::open(&client(), &target, PushConfig::default()).expect("a session");
    tagged(&document, "1").push(&session, &blobs).expect("a push");
    server.clear_requests();
    server.set_faults(|incoming| match (incoming.endpoint, incoming.earlier) {
        (Endpoint::Blob, 0) => Fault::CutResponse { after: 10 << 20 },
        (Endpoint::Blob, 1) => Fault::CutResponse { after: 7 },
        _ => Fault::None,
    });
    let client = client();
    let blob = Descriptor::of(MediaType::LayerTar, &layer);
    let mut out = Vec::new();
    repository(&client, &server.host(), "app").copy_to(&blob, &mut out).expect("the blob");
    assert!(out == layer);
    let sent: u64 = server.requests().iter().skip(1).map(|request| request.response_len).sum();
    assert!(sent < 2 * (24 << 20) + (15 << 20), "{sent} bytes were offered");
}

#[test]
fn honours_retry_after_and_gives_up_on_long_ones() {
    let server = start(true);
    let waits = Arc::new(AtomicU64::new(0));
    let mut config = config();
    let counted = Arc::clone(&waits);
    config.listener = Some(Arc::new(move |event| {
        if matches!(event, floe_destination::registry::RegistryEvent::Retry { .. }) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let client = Registry::new(config).expect("a client");
    let repository = repository(&client, &server.host(), "app");
    let name = floe_destination::registry::ManifestName::Tag("x".to_owned());
    server.set_faults(|incoming| match (incoming.endpoint, incoming.earlier) {
        (Endpoint::Manifest, 0) => Fault::Status { status: 429, retry_after: Some(1) },
        _ => Fault::None,
    });
    let started = Instant::now();
    assert_eq!(repository.descriptor(&name).expect("an answer"), None);
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(waits.load(Ordering::Relaxed), 1);

    server.set_faults(|_| Fault::Status { status: 429, retry_after: Some(3_600) });
    let started = Instant::now();
    let error = repository.descriptor(&name).expect_err("nobody waits an hour");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(whole(&error).contains("429"), "{}", whole(&error));
}

#[test]
fn a_silent_registry_is_left() {
    let server = start(true);
    server.set_faults(|incoming| match incoming.endpoint {
        Endpoint::Manifest => Fault::Delay(Duration::from_secs(2)),
        _ => Fault::None,
    });
    let mut config = config();
    config.stall_timeout = Duration::from_millis(200);
    config.retry.attempts = 2;
    let client = Registry::new(config).expect("a client");
    let name = floe_destination::registry::ManifestName::Tag("x".to_owned());
    let error = repository(&client, &server.host(), "app").descriptor(&name).expect_err("silence");
    assert!(whole(&error).contains("sent nothing"), "{}", whole(&error));
}
