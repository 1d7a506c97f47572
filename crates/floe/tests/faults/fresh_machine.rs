//! A machine that never built the image pushes over its tag: what the registry's image says of its layers stands in for
//! the memo. Requests are counted by the registry, opened files by the kernel.

use std::path::Path;

use floe_destination::ManifestDocument;
use floe_destination::registry::{Registry as Client, RegistryConfig};
use floe_image::oci::MediaType;
use floe_testkit::registry::in_process::{Endpoint, Registry};
use serde_json::Value;

use crate::house::{House, NODE_SERVER};
use crate::strace::{build_changed_server, trace};

const REPOSITORY: &str = "team/app";

/// A registry that has the image, its reference, and the image's digest.
fn published() -> (Registry, String, String) {
    let registry = Registry::start().expect("a registry");
    let reference = format!("docker://{}/{REPOSITORY}:1", registry.host());
    let digest = House::new().build(&[&NODE_SERVER.display().to_string(), "--to", &reference]);
    (registry, reference, digest)
}

fn manifest(registry: &Registry) -> Value {
    let bytes = registry.manifest(REPOSITORY, "1").expect("the tag names a manifest");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn opens_nothing_and_asks_little_when_nothing_changed() {
    let (registry, reference, _) = published();
    let before = manifest(&registry);
    let house = House::new();
    registry.clear_requests();
    let opened = trace(&house, &[&NODE_SERVER.display().to_string(), "--to", &reference]);
    assert_eq!(opened.store_paths(), Vec::<&Path>::new());
    let requests = registry.requests();
    assert!(requests.len() <= 6, "{requests:?}");
    assert!(
        requests.iter().all(|request| request.method == "GET" || request.method == "HEAD"),
        "{requests:?}"
    );
    assert_eq!(manifest(&registry), before);
    assert_eq!(house.memo_entries(), Vec::<std::path::PathBuf>::new(), "nothing is remembered by hearsay");
}

#[test]
fn reads_and_sends_only_what_changed() {
    let (registry, reference, _) = published();
    let before = manifest(&registry);
    let house = House::new();
    let server = build_changed_server(&house);
    registry.clear_requests();
    let opened = trace(&house, &["result", "--to", &reference]);
    assert_eq!(opened.outputs(), [server.as_path()]);

    let layers = |manifest: &Value| manifest["layers"].as_array().expect("layers").clone();
    let after = manifest(&registry);
    let new: Vec<Value> =
        layers(&after).into_iter().filter(|layer| !layers(&before).contains(layer)).collect();
    assert_eq!(new.len(), 1, "the application's layer changed: {new:?}");
    let sent = registry.count("PUT", Endpoint::Upload);
    assert_eq!((sent, registry.count("PUT", Endpoint::Manifest)), (2, 1), "that layer and the config");
    let requests = registry.requests();
    assert!(requests.len() <= 6 + 3 * sent, "{requests:?}");
    let bytes: u64 = requests.iter().map(|request| request.body_len).sum();
    let size = new[0]["size"].as_u64().expect("a size") + after["config"]["size"].as_u64().expect("a size");
    let documents = serde_json::to_vec(&after).expect("JSON").len() as u64;
    assert!(bytes <= size + documents, "{bytes} bytes were sent for a layer and a config of {size}");
}

/// What docs/registries.md says is trusted: whoever writes the tag can name other layers.
#[test]
fn believes_the_tag_unless_told_not_to() {
    let (registry, reference, honest) = published();
    let mut lie = manifest(&registry);
    let layers = lie["layers"].as_array_mut().expect("layers");
    let annotations = layers[0]["annotations"].clone();
    layers[0] = layers[1].clone();
    layers[0]["annotations"] = annotations;
    let client = Client::new(RegistryConfig::bare()).expect("a client");
    let target = reference.strip_prefix("docker://").expect("a registry's").parse().expect("a reference");
    let document = ManifestDocument::new(MediaType::Manifest, serde_json::to_vec(&lie).expect("JSON"));
    let forge = || {
        let repository = client.repository(&target).expect("a repository");
        repository.put_manifest(&document, Some("1")).expect("the registry takes it");
    };
    let node = NODE_SERVER.display().to_string();
    let house = House::new();
    for (flags, is_honest) in [
        (&[][..], false),
        (&["--trust-previous=true"], false),
        (&["--trust-previous=false"], true),
        (&["--no-memo"], true),
        // Now the memo knows better than any tag.
        (&[], true),
    ] {
        forge();
        let digest = house.build(&[&[node.as_str(), "--to", &reference], flags].concat());
        assert_eq!(digest == honest, is_honest, "{flags:?}");
    }
}

#[test]
fn pushes_over_what_it_cannot_read() {
    let (registry, reference, honest) = published();
    let before = manifest(&registry);
    let client = Client::new(RegistryConfig::bare()).expect("a client");
    let target = reference.strip_prefix("docker://").expect("a registry's").parse().expect("a reference");
    let repository = client.repository(&target).expect("a repository");
    let node = NODE_SERVER.display().to_string();
    // A config that is no config, and layers without their keys.
    let mut other_config = before.clone();
    other_config["config"] = before["layers"][0].clone();
    let mut no_keys = before.clone();
    for layer in no_keys["layers"].as_array_mut().expect("layers") {
        layer.as_object_mut().expect("a descriptor").remove("annotations");
    }
    for foreign in [other_config, no_keys] {
        let bytes = serde_json::to_vec(&foreign).expect("JSON");
        let document = ManifestDocument::new(MediaType::Manifest, bytes);
        repository.put_manifest(&document, Some("1")).expect("the registry takes it");
        assert_eq!(House::new().build(&[&node, "--to", &reference]), honest);
        assert_eq!(manifest(&registry), before);
    }
}
