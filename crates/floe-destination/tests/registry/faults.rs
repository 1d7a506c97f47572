//! Two hundred runs through everything that goes wrong on a network: complete, or a clear error.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use floe_destination::registry::{ManifestName, PushConfig, PushSession, Registry};
use floe_destination::{Manifests, Selection};
use floe_image::BlobSource;
use floe_image::oci::{Descriptor, MediaType};
use floe_testkit::registry::in_process::{self, Behaviour, Fault};

use crate::image::{Blobs, Tagged, config, image, index, noise, reference, repository, whole};

const RUNS: u64 = 200;

/// SplitMix64: the run's number decides everything but the order of threads.
fn random(seed: u64, step: u64) -> u64 {
    let mut z =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(step.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn break_things(server: &in_process::Registry, seed: u64) {
    let step = AtomicU64::new(0);
    // From rare faults to one in three.
    let one_in = 3 + seed % 20;
    server.set_faults(move |_| {
        let dice = random(seed, step.fetch_add(1, Ordering::Relaxed));
        if !dice.is_multiple_of(one_in) {
            return Fault::None;
        }
        let after = (dice >> 16) % 40_000;
        match (dice >> 8) % 8 {
            0 => Fault::CutRequest { after },
            1 => Fault::LoseResponse,
            2 => Fault::CutResponse { after },
            3 => Fault::Status { status: 429, retry_after: Some(0) },
            4 => Fault::Status { status: 500, retry_after: None },
            5 => Fault::Status { status: 502, retry_after: None },
            6 => Fault::Status { status: 503, retry_after: None },
            _ => Fault::Delay(Duration::from_millis(after % 30)),
        }
    });
}

#[test]
fn two_hundred_runs_end_complete_or_with_a_clear_error() {
    let mut blobs = Blobs::default();
    let shared = noise(1, 30_000);
    let amd64 = image(&mut blobs, "amd64", &[shared.clone(), noise(2, 70_000), noise(3, 1)]);
    let arm64 = image(&mut blobs, "arm64", &[shared, noise(4, 50_000)]);
    let joined = index(&[("amd64", &amd64), ("arm64", &arm64)]);
    let push = Tagged::index(vec![amd64, arm64], joined, &["1"]);
    let mut complete = 0;
    for seed in 0..RUNS {
        let behaviour = Behaviour { resume: seed % 2 == 0, mount: seed % 3 == 0, ..Behaviour::default() };
        let server = in_process::Registry::with(behaviour).expect("a registry");
        break_things(&server, seed);
        let mut config = config();
        config.retry.first_wait = Duration::from_millis(1);
        config.retry.longest_wait = Duration::from_millis(4);
        let client = Registry::new(config).expect("a client");
        let session = PushSession::open(&client, &reference(&server.host(), "app:1"), PushConfig::default())
            .expect("a session");
        let pushed = push.push(&session, &blobs);
        let tagged = server.manifest("app", "1");
        match &pushed {
            Ok(_) => {
                assert_eq!(tagged.as_ref(), Some(&push.manifests.top().bytes), "run {seed}");
                complete += 1;
            }
            Err(error) => {
                let text = whole(error);
                assert!(text.contains(&server.host()), "run {seed}: {text}");
            }
        }
        // Whatever is named is there, also after an error.
        if tagged.is_some() {
            for document in push.manifests.documents() {
                let digest = document.descriptor.digest.to_string();
                assert_eq!(server.manifest("app", &digest).as_ref(), Some(&document.bytes), "run {seed}");
            }
            for (digest, bytes) in &blobs.bytes {
                assert_eq!(server.blob("app", &digest.to_string()).as_ref(), Some(bytes), "run {seed}");
            }
            pull(&client, &server.host(), &push.manifests, &blobs, seed);
        }
    }
    assert!(complete >= RUNS * 3 / 4, "only {complete} of {RUNS} runs were complete");
}

/// What is pulled under the same faults is right, or an error.
fn pull(client: &Registry, host: &str, pushed: &Manifests, blobs: &Blobs, seed: u64) {
    let repository = repository(client, host, "app");
    match repository.manifest(&ManifestName::Tag("1".to_owned())) {
        Ok(top) => match Manifests::read(&repository, &top.descriptor, &Selection::All) {
            Ok(pulled) => assert_eq!(&pulled, pushed, "run {seed}"),
            Err(error) => assert!(whole(&error).contains("sha256:"), "run {seed}: {}", whole(&error)),
        },
        Err(error) => assert!(whole(&error).contains(host), "run {seed}: {}", whole(&error)),
    }
    for (digest, bytes) in &blobs.bytes {
        let mut out = Vec::new();
        let blob = Descriptor::new(MediaType::LayerTar, *digest, bytes.len() as u64);
        match repository.copy_to(&blob, &mut out) {
            Ok(()) => assert_eq!(&out, bytes, "run {seed}"),
            Err(error) => {
                assert!(whole(&error).contains(&digest.to_string()), "run {seed}: {}", whole(&error))
            }
        }
    }
}
