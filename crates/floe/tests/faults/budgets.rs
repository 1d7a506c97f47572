//! What pushes cost, as the registry counts it: requests, bytes, and how often the store is read.

use std::collections::BTreeMap;

use floe_testkit::registry::in_process::{Behaviour, Endpoint, Registry, Request};
use serde_json::Value;

use crate::house::{House, NODE_SERVER, plain_directory, text};
use crate::strace::{Opened, build_changed_server, trace};

/// Requests of a push that are not about one blob: hello, the tag before, the manifest, and one in reserve.
const CONSTANT: usize = 4;

fn manifest(registry: &Registry, repository: &str, tag: &str) -> Value {
    let bytes = registry.manifest(repository, tag).expect("the tag names a manifest");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The blobs that a manifest names, each once: digest and size.
fn blobs(manifest: &Value) -> Vec<(String, u64)> {
    let layers = manifest["layers"].as_array().expect("layers").iter().chain([&manifest["config"]]);
    let named = |blob: &Value| {
        (blob["digest"].as_str().expect("a digest").to_owned(), blob["size"].as_u64().expect("a size"))
    };
    let mut blobs: Vec<_> = layers.map(named).collect();
    blobs.sort();
    blobs.dedup();
    blobs
}

fn check_complete(registry: &Registry, repository: &str, tag: &str) {
    for (digest, size) in blobs(&manifest(registry, repository, tag)) {
        let blob = registry.blob(repository, &digest).expect("the blob is there");
        assert_eq!(blob.len() as u64, size);
    }
}

/// Checks that there were no more requests; a failure lists them by kind.
fn check_budget(requests: &[Request], most: usize, what: &str) {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for request in requests {
        *kinds.entry(format!("{} {:?}", request.method, request.endpoint)).or_default() += 1;
    }
    assert!(requests.len() <= most, "{what}: {} requests of {most}: {kinds:?}", requests.len());
}

fn floe(house: &House, words: &[&str]) {
    let output = house.floe(words).output().expect("floe runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn node() -> String {
    NODE_SERVER.display().to_string()
}

fn uploaded(requests: &[Request]) -> u64 {
    requests
        .iter()
        .filter(|request| request.endpoint == Endpoint::Upload)
        .map(|request| request.body_len)
        .sum()
}

#[test]
fn a_push_and_the_same_again() {
    let (fresh, used) = (House::new(), House::new());
    floe(&used, &["build", &node(), "--name", "app"]);
    for (what, house, first) in [
        ("a build of layers that nobody knows", &fresh, &["build", &node(), "--to"][..]),
        ("a build of layers that the memo alone knows", &fresh, &["build", &node(), "--to"]),
        ("a build of known layers", &used, &["build", &node(), "--to"]),
        ("a recorded image", &used, &["push", "app"]),
    ] {
        let registry = Registry::start().expect("a registry");
        let reference = format!("{}/app:1", registry.host());
        let target = if first[0] == "build" { format!("docker://{reference}") } else { reference };
        let words = [first, &[target.as_str()]].concat();
        floe(house, &words);
        let blobs = blobs(&manifest(&registry, "app", "1"));
        let requests = registry.requests();
        assert!(
            requests.len() <= 3 * blobs.len() + CONSTANT,
            "{what}: {} for {}",
            requests.len(),
            blobs.len()
        );
        assert_eq!(uploaded(&requests), blobs.iter().map(|(_, size)| size).sum::<u64>(), "{what}");
        check_complete(&registry, "app", "1");

        registry.clear_requests();
        floe(house, &words);
        let requests = registry.requests();
        check_budget(&requests, 3, what);
        assert_eq!(uploaded(&requests), 0, "{what}");
    }
}

#[test]
fn after_a_change_only_the_layer_the_config_and_the_manifest_travel() {
    let house = House::new();
    let registry = Registry::start().expect("a registry");
    let target = format!("docker://{}/app:1", registry.host());
    floe(&house, &["build", &node(), "--to", &target]);
    let before = blobs(&manifest(&registry, "app", "1"));
    build_changed_server(&house);
    registry.clear_requests();
    floe(&house, &["build", "result", "--to", &target]);
    let after = blobs(&manifest(&registry, "app", "1"));
    let new: Vec<_> = after.iter().filter(|blob| !before.contains(blob)).collect();
    assert_eq!(new.len(), 2, "a layer and the config: {new:?}");
    let requests = registry.requests();
    assert_eq!(uploaded(&requests), new.iter().map(|(_, size)| size).sum::<u64>());
    check_budget(&requests, 3 * new.len() + CONSTANT, "after a change");
}

/// A tag for each commit, as continuous integration gives them: the tag is new, the image nearly not.
#[test]
fn a_new_tag_knows_what_another_has() {
    let registry = Registry::start().expect("a registry");
    let reference = |tag: &str| format!("docker://{}/app:{tag}", registry.host());
    floe(&House::new(), &["build", &node(), "--to", &reference("main")]);
    let known = blobs(&manifest(&registry, "app", "main")).len();
    let (first, second, main) = (reference("first"), reference("second"), reference("main"));
    for words in [
        &["build", &node(), "--to", &first, "--previous-tag", "absent", "--previous-tag", "main"][..],
        &["build", &node(), "--to", &second, "--to", &main],
    ] {
        registry.clear_requests();
        let house = House::new();
        floe(&house, words);
        let requests = registry.requests();
        assert!(known > 6);
        check_budget(&requests, 6, "a new tag");
        assert_eq!(uploaded(&requests), 0);
    }
    assert_eq!(registry.tags("app"), ["first", "main", "second"]);
}

#[test]
fn several_references_are_packed_once_and_sent_once_to_a_host() {
    for mount in [true, false] {
        let house = House::new();
        let behaviour = Behaviour { mount, ..Behaviour::default() };
        let [one, other] = [(); 2].map(|()| Registry::with(behaviour).expect("a registry"));
        plain_directory(&house.path("page"), 20, 100_000, 1);
        let targets = [
            format!("docker://{}/app:1", one.host()),
            format!("docker://{}/app:2", one.host()),
            format!("docker://{}/team/app:1", one.host()),
            format!("docker://{}/app:1", other.host()),
        ];
        let mut words = vec!["page", "--name", "page"];
        words.extend(targets.iter().flat_map(|target| ["--to", target]));
        let opened = trace(&house, &words);
        let images = [(&one, "app", "1"), (&one, "app", "2"), (&one, "team/app", "1"), (&other, "app", "1")];
        for (registry, repository, tag) in images {
            check_complete(registry, repository, tag);
            assert_eq!(manifest(registry, repository, tag), manifest(&one, "app", "1"));
        }
        let blobs = blobs(&manifest(&one, "app", "1"));
        let size: u64 = blobs.iter().map(|(_, size)| size).sum();
        assert_eq!(uploaded(&other.requests()), size);
        if mount {
            let alone = trace(&house, &["page", "--name", "page", "--no-memo", "--to", "oci:layout"]);
            let page = house.path("page");
            let times = |opened: &Opened| -> Vec<usize> {
                opened.files_below(&page).map(|(_, times)| times).collect()
            };
            assert_eq!(times(&opened), times(&alone), "as often as for one destination");
            assert_eq!(uploaded(&one.requests()), size);
            // For the other repository one request a blob, for it and for the other tag two each.
            let most = 3 * blobs.len() + CONSTANT + blobs.len() + 4;
            check_budget(&one.requests(), most, "three references on one host");
        }

        // The same from the record, packed once more at most, to a third host and to these.
        let third = Registry::start().expect("a registry");
        let recorded = ["build", "page", "--name", "page"];
        floe(&house, &recorded);
        let references = [
            format!("{}/new:1", one.host()),
            format!("{}/new:1", third.host()),
            format!("{}/app:3", one.host()),
        ];
        let words = [&["push", "page"][..], &references.each_ref().map(String::as_str)].concat();
        floe(&house, &words);
        for (registry, repository, tag) in [(&one, "new", "1"), (&third, "new", "1"), (&one, "app", "3")] {
            check_complete(registry, repository, tag);
            assert_eq!(manifest(registry, repository, tag), manifest(&one, "app", "1"));
        }
    }
}

#[test]
fn one_host_that_fails_is_named_and_nothing_is_tagged_there() {
    let house = House::new();
    plain_directory(&house.path("page"), 2, 1_000, 1);
    let registry = Registry::start().expect("a registry");
    let target = format!("docker://{}/app:1", registry.host());
    let (code, said) =
        house.failure(&["build", "page", "--to", &target, "--to", "docker://127.0.0.1:1/app:1"]);
    assert_eq!(code, 1);
    assert!(said.contains("127.0.0.1:1"), "{said}");
    assert_eq!(registry.tags("app"), Vec::<String>::new());
}
