//! Two hundred runs over a network that fails, to and from distribution 2.8: complete, or a clear error; and no manifest
//! in its storage ever names what is not there.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use floe_destination::registry::{
    ManifestName, PushConfig, PushSession, Registry, RegistryConfig, Repository,
};
use floe_destination::{Destination, Manifests, OciLayoutDestination, Selection};
use floe_image::oci::{Descriptor, Digest, MediaType};
use floe_image::{BlobSink, BlobSource};
use floe_testkit::http::fault_proxy::{FaultProxy, random};
use floe_testkit::registry::distribution::{Configuration, Distribution};
use serde_json::Value;
use tempfile::TempDir;

use crate::image::{Blobs, Tagged, config, image, index, noise, reference, repository, whole};

const RUNS: u64 = 200;

/// Of the runs whose network fails rarely; a byte that is wrong is never mended by asking again.
const RUNS_THAT_COMPLETE: u64 = RUNS / 2;

/// Runs side by side: each waits for the network and the registry's disk most of the time.
const SIDE_BY_SIDE: usize = 4;

#[test]
fn two_hundred_runs_end_complete_or_with_a_clear_error() {
    let server = Distribution::start(Configuration::default()).expect("a registry");
    let straight = Registry::new(config()).expect("a client");
    let (next, pushed, pulled) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < RUNS)
                {
                    let (is_pushed, is_pulled) = run(seed, &server, &straight);
                    pushed.fetch_add(u64::from(is_pushed), Ordering::Relaxed);
                    pulled.fetch_add(u64::from(is_pulled), Ordering::Relaxed);
                }
            });
        }
    });
    let (pushed, pulled) = (pushed.into_inner(), pulled.into_inner());
    assert!(
        pushed >= RUNS_THAT_COMPLETE && pulled >= RUNS_THAT_COMPLETE,
        "{pushed} pushes and {pulled} pulls of {RUNS} were complete"
    );
}

/// Pushes and pulls over a network that fails as the seed says, and checks what came of it; returns whether the push and
/// the pull were complete.
fn run(seed: u64, server: &Distribution, straight: &Registry) -> (bool, bool) {
    let name = format!("run{seed}");
    let (image, streamed, blobs) = image_of_run(seed);
    // From rare faults to one request in three.
    let proxy = FaultProxy::start(server.address(), random(seed, 3 + seed % 30)).expect("a proxy");
    let client = Registry::new(impatient()).expect("a client");
    let pushed = push(&client, &proxy.host(), &name, &image, streamed.as_deref(), &blobs);
    let tag = check_storage(&server.storage(), &name);
    match &pushed {
        Ok(()) => {
            assert_eq!(tag, Some(image.manifests.top().descriptor.digest), "run {seed}");
            check_whole(&repository(straight, &server.host(), &name), &image.manifests, &blobs);
        }
        Err(text) => {
            assert!(text.contains(&proxy.host()), "run {seed}: {text}");
            // What is pulled next is a whole image.
            push(straight, &server.host(), &name, &image, None, &blobs).expect("a network that works");
        }
    }

    let folder = TempDir::new().expect("a folder");
    let layout = folder.path().join("layout");
    let pulled = pull(&repository(&client, &proxy.host(), &name), &layout);
    match &pulled {
        Ok(()) => check_layout(&layout, &image.manifests, &blobs),
        Err(text) => {
            assert!(text.contains(&proxy.host()) || text.contains("sha256:"), "run {seed}: {text}");
            assert_eq!(files(&layout), NOTHING, "run {seed}: {text}");
        }
    }
    (pushed.is_ok(), pulled.is_ok())
}

const NOTHING: [PathBuf; 0] = [];

/// An index of two images that no other run has; in odd runs with a layer that is sent before its digest is known.
fn image_of_run(seed: u64) -> (Tagged, Option<Vec<u8>>, Blobs) {
    let mut blobs = Blobs::default();
    let seed = seed * 10;
    let (shared, large) = (noise(seed + 1, 20_000), noise(seed + 2, 90_000));
    let amd64 = image(&mut blobs, "amd64", &[shared.clone(), large.clone(), noise(seed + 3, 1)]);
    let arm64 = image(&mut blobs, "arm64", &[shared, noise(seed + 4, 40_000)]);
    let joined = index(&[("amd64", &amd64), ("arm64", &arm64)]);
    let is_streamed = !seed.is_multiple_of(20);
    (Tagged::index(vec![amd64, arm64], joined, &["1"]), is_streamed.then_some(large), blobs)
}

fn impatient() -> RegistryConfig {
    let mut config = config();
    config.retry.first_wait = Duration::from_millis(1);
    config.retry.longest_wait = Duration::from_millis(4);
    config
}

/// Pushes as a build does; the error with all its causes.
fn push(
    client: &Registry,
    host: &str,
    name: &str,
    image: &Tagged,
    streamed: Option<&[u8]>,
    blobs: &Blobs,
) -> Result<(), String> {
    let target = reference(host, &format!("{name}:1"));
    let session = PushSession::open(client, &target, PushConfig::default()).expect("a session");
    if let Some(bytes) = streamed {
        let failure = |error: std::io::Error| whole(&error);
        let mut writer = session.begin(None).map_err(|error| whole(&error))?;
        let descriptor = Descriptor::of(MediaType::LayerTar, bytes);
        let written = bytes.chunks(7_000).try_for_each(|chunk| writer.write_all(chunk)).map_err(failure);
        // A writer that failed says why when it is committed.
        match (writer.commit(&descriptor), written) {
            (Err(error), _) => return Err(whole(&error)),
            (Ok(()), written) => written?,
        }
    }
    image.push(&session, blobs).map(drop).map_err(|error| whole(&error))
}

/// Pulls into a layout, as `floe pull` does; the error with all its causes.
fn pull(repository: &Repository, layout: &Path) -> Result<(), String> {
    let name = ManifestName::Tag("1".to_owned());
    let top = repository.manifest(&name).map_err(|error| whole(&error))?;
    let manifests =
        Manifests::read(repository, &top.descriptor, &Selection::All).map_err(|error| whole(&error))?;
    let destination = OciLayoutDestination::create(layout, Some("1")).expect("a folder to write to");
    Box::new(destination).finish(&manifests, None, repository).map(drop).map_err(|error| whole(&error))
}

/// Reads everything back without the proxy.
fn check_whole(repository: &Repository, manifests: &Manifests, blobs: &Blobs) {
    let top = repository.manifest(&ManifestName::Tag("1".to_owned())).expect("the manifest");
    let read = Manifests::read(repository, &top.descriptor, &Selection::All).expect("the manifests");
    assert_eq!(read.documents(), manifests.documents());
    for (digest, bytes) in &blobs.bytes {
        let mut out = Vec::new();
        let blob = Descriptor::new(MediaType::LayerTar, *digest, bytes.len() as u64);
        repository.copy_to(&blob, &mut out).expect("the blob");
        assert!(&out == bytes, "{digest}");
    }
}

fn check_layout(layout: &Path, manifests: &Manifests, blobs: &Blobs) {
    for document in manifests.documents() {
        let path = layout.join("blobs/sha256").join(document.descriptor.digest.hex());
        assert_eq!(fs::read(path).expect("the manifest"), document.bytes);
    }
    for (digest, bytes) in &blobs.bytes {
        assert!(
            &fs::read(layout.join("blobs/sha256").join(digest.hex())).expect("the blob") == bytes,
            "{digest}"
        );
    }
}

/// All files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Looks at what distribution keeps: every manifest of the repository is whole, and so is all that it names. Returns what
/// the tag names.
fn check_storage(storage: &Path, name: &str) -> Option<Digest> {
    let root = storage.join("docker/registry/v2");
    let repository = root.join("repositories").join(name);
    let content = |digest: &str| {
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        let bytes = fs::read(root.join("blobs/sha256").join(&hex[..2]).join(hex).join("data"))
            .unwrap_or_else(|error| panic!("{name}: {digest}: {error}"));
        assert_eq!(Digest::of(&bytes).to_string(), digest, "{name}");
        bytes
    };
    let is_linked = |kind: &str, digest: &str| {
        repository.join(kind).join(digest.replace(':', "/")).join("link").is_file()
    };
    let revisions = files(&repository.join("_manifests/revisions"));
    for link in &revisions {
        let manifest: Value =
            serde_json::from_slice(&content(&fs::read_to_string(link).expect("a link"))).expect("JSON");
        let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
        for blob in
            [manifest["config"].clone()].into_iter().chain(list("layers")).filter(|blob| !blob.is_null())
        {
            let digest = blob["digest"].as_str().expect("a digest");
            assert!(is_linked("_layers", digest), "{name}: {digest} is named and not there");
            content(digest);
        }
        for child in list("manifests") {
            let digest = child["digest"].as_str().expect("a digest");
            assert!(is_linked("_manifests/revisions", digest), "{name}: {digest} is named and not there");
        }
    }
    let tag = fs::read_to_string(repository.join("_manifests/tags/1/current/link")).ok()?;
    assert!(is_linked("_manifests/revisions", &tag), "{name}: the tag's {tag} is not there");
    Some(tag.parse().expect("a digest"))
}
