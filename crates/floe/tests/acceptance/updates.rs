//! An update moves what changed: planned against the image that is there, by a machine that knows nothing else of it.

use std::fmt::Write as _;

use floe_testkit::engine::Engine as _;
use floe_testkit::engine::podman::Podman;
use floe_testkit::registry::distribution::Authentication;
use serde_json::Value;

use crate::program::{Desk, answer, run, succeed, text};
use crate::registries::home::distribution;
use crate::shared_images::node_server_path;
use crate::store::ChrootStore;

/// Writes a plain directory whose text does not compress to nothing.
fn site(desk: &Desk, seed: u64, numbers: usize) -> String {
    let mut state = seed;
    let mut page = String::new();
    for _ in 0..numbers {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        writeln!(page, "{state:016x}").expect("a text takes everything");
    }
    desk.write("site/page", &page);
    desk.text("site")
}

fn json(written: &str) -> Value {
    serde_json::from_str(written).unwrap_or_else(|error| panic!("{error}: {written}"))
}

/// The bytes that a registry sent to podman, by its access log: manifests, configs and layers.
fn sent(log: &str) -> u64 {
    let line = |line: &str| {
        let (_, request) = line.split_once("\"GET /v2/")?;
        let (_, answer) = request.split_once("HTTP/1.1\" 200 ")?;
        answer.split(' ').next()?.parse::<u64>().ok().filter(|_| line.contains("containers/"))
    };
    log.lines().filter_map(line).sum()
}

#[test]
fn podman_pulls_what_the_build_predicted() {
    let registry = distribution(Authentication::Open);
    let podman = Podman::shared().unwrap_or_else(|error| panic!("{error}"));
    let reference = format!("{}/team/app:1", registry.host());
    let server = node_server_path();
    let mut predictions = Vec::new();
    // Each version is built by a machine without a record, a memo or a cache.
    for version in 1..=2 {
        let desk = Desk::new();
        let site = site(&desk, version, 10_000);
        let to = format!("docker://{reference}");
        let built = json(&answer(&mut desk.floe(&["--json", "build", &server, &site, "--to", &to])));
        let before = registry.log().len();
        let mut pull = podman.command();
        succeed(pull.args(["pull", "--quiet", "--tls-verify=false", &reference]));
        predictions.push((built, sent(&registry.log()[before..])));
    }
    let (first, pulled) = &predictions[0];
    assert_eq!(first["update"], Value::Null, "{first}");
    assert!(*pulled > first["size"].as_u64().expect("a size"), "the first pull moves all: {pulled}");

    let (second, pulled) = &predictions[1];
    let (kept, size) = (&second["update"]["kept"], &second["update"]["size"]);
    assert_eq!(kept.as_u64(), second["layers"].as_u64().map(|layers| layers - 1), "{second}");
    let predicted = size.as_u64().expect("a size");
    assert!(pulled.abs_diff(predicted) * 50 <= predicted, "predicted {predicted}, pulled {pulled}");
    assert!(predicted * 100 < first["size"].as_u64().expect("a size"), "predicted {predicted} of {first}");
}

#[test]
fn keeps_the_layers_of_the_recorded_image_unless_told_otherwise() {
    let desk = Desk::new();
    let server = node_server_path();
    let build = |seed: u64, words: &[&str]| {
        let site = site(&desk, seed, 10);
        let words = [&["--json", "build", &server, &site, "--name", "app"], words].concat();
        json(&answer(&mut desk.floe(&words)))
    };
    // Another planner's layers: what is kept shows.
    let first = build(1, &["--layering", "popularity"]);
    let update = build(2, &[]);
    assert_eq!(
        update["update"]["kept"].as_u64(),
        update["layers"].as_u64().map(|layers| layers - 1),
        "{update}"
    );
    // Without history, the record plays no part.
    let fresh = build(2, &["--no-previous"]);
    assert_eq!(fresh["update"], Value::Null);
    assert_ne!(fresh["digest"], update["digest"]);
    let elsewhere = Desk::new();
    let site = site(&elsewhere, 2, 10);
    let alone = ["--json", "build", &server, &site, "--name", "app"];
    assert_eq!(json(&answer(&mut elsewhere.floe(&alone)))["digest"], fresh["digest"]);
    // What was built is what is built again: all of its layers are kept.
    let again = build(2, &[]);
    assert_eq!(again["digest"], fresh["digest"]);
    assert_ne!(again["digest"], first["digest"]);
}

#[test]
fn carries_a_small_dead_path_and_keeps_it_from_the_collector() {
    let desk = Desk::new();
    let store = ChrootStore::new(&desk.path("nix"));
    let root = text(&store.root).to_owned();
    let add = |name: &str, bytes: usize| {
        desk.write(&format!("{name}/file"), &name.repeat(bytes / name.len()));
        store.add(&desk.path(name))
    };
    let (large, dead, new) = (add("large", 1_200), add("dead", 8), add("newer", 10));
    let floe = |words: &[&str], contents: &[&str]| {
        desk.floe(
            &[words, &["--store", &root, "--name", "app", "--platform", "linux/amd64"], contents].concat(),
        )
    };
    succeed(&mut floe(&["build"], &[&large, &dead]));
    let plan = json(&answer(&mut floe(&["plan", "--json"], &[&large, &new])));
    assert_eq!(plan["layers"][0]["kept"]["carried"][0], dead.trim_start_matches("/nix/store/"), "{plan}");
    assert_eq!(plan["layers"][0]["rule"]["carried"], 1);
    let update = json(&answer(&mut floe(&["build", "--json"], &[&large, &new])));
    assert_eq!(update["update"]["kept"], 2, "the root's layer and the one with the dead path: {update}");

    // The record alone needs it now; the layer can be packed again.
    run(store.command("nix-store").arg("--gc"), 0);
    assert!(store.location(&dead).exists());
    let fresh = ["export", "app", "again.tar"];
    std::fs::remove_dir_all(desk.path("../cache")).expect("a cache");
    succeed(&mut desk.floe(&fresh));

    // A path that the store lost cannot be packed again: the others are sent anew.
    let lost = answer(&mut floe(&["plan", "--json", "--no-previous"], &[&large, &dead]));
    desk.write("lost.json", &lost.replace(&dead["/nix/store/".len()..][..32], &"0".repeat(32)));
    let plan = json(&answer(&mut floe(&["plan", "--json", "--previous", "lost.json"], &[&large, &new])));
    assert_eq!(plan["layers"][0]["kept"], Value::Null, "{plan}");
}

#[test]
fn learns_from_images_and_plans() {
    let desk = Desk::new();
    let server = node_server_path();
    for version in 1..=3 {
        let site = site(&desk, version, 10);
        let tag = version.to_string();
        succeed(&mut desk.floe(&["build", &server, &site, "--name", "app", "--tag", &tag]));
    }
    let said = succeed(&mut desk.floe(&["plan", "--learn", "changes", "app:1", "app:2", "app:3"])).stderr;
    assert!(said.contains("changes: learned from 2 steps"), "{said}");
    let learned = std::fs::read_to_string(desk.path("changes")).expect("the file");
    assert!(learned.ends_with("\nsteps 2\nsite 1 2\n"), "{learned}");
    let plan = answer(&mut desk.floe(&["plan", "--json", &server, "--frequencies", "changes"]));
    desk.write("plan.json", &plan);
    succeed(&mut desk.floe(&["plan", "--learn", "same", "plan.json", "plan.json"]));
    let learned = std::fs::read_to_string(desk.path("same")).expect("the file");
    assert!(learned.ends_with("\nsteps 1\n"), "{learned}");

    for (words, code, error, hint) in [
        (vec!["plan", "--learn", "x", "app:1"], 2, "1 images to learn from", "such as"),
        (vec!["plan", "--learn", "x", "app:1", "app:9"], 1, "no image 'app:9' is recorded", "app:"),
        (vec!["plan", &server, "--previous", "absent.json"], 1, "cannot read absent.json", ""),
        (
            vec!["plan", &server, "--previous", "changes.json"],
            1,
            "changes.json is no plan",
            "floe plan --json",
        ),
        (
            vec!["plan", &server, "--previous", "oci:foreign"],
            1,
            "does not say which store paths",
            "--no-previous",
        ),
        (vec!["plan", &server, "--previous", "no such thing"], 2, "no image source", ""),
        (vec!["plan", &server, "--frequencies", "plan.json"], 1, "plan.json holds no frequencies", "--learn"),
        (vec!["build", &server, "--previous", "app:1", "--no-previous"], 2, "cannot be used with", ""),
    ] {
        desk.write("changes.json", "{}");
        foreign(&desk);
        let said = run(&mut desk.floe(&words), code).stderr;
        assert!(said.contains(error) && said.contains(hint), "{words:?}: {said}");
    }
}

/// A layout whose image was not made by floe: the same layers, without what floe says of them.
fn foreign(desk: &Desk) {
    if desk.path("foreign").exists() {
        return;
    }
    let site = site(desk, 9, 10);
    succeed(&mut desk.floe(&["build", &site, "--to", "docker-archive:ours.tar"]));
    let mut skopeo = crate::program::program("skopeo", &["copy", "--quiet"]);
    succeed(
        skopeo
            .arg(format!("docker-archive:{}", desk.text("ours.tar")))
            .arg(format!("oci:{}", desk.text("foreign"))),
    );
}
