//! `floe copy` between every two kinds of places, judged by what the places themselves say that they hold.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use floe_testkit::engine::Engine;
use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::docker::Docker;
use floe_testkit::engine::podman::Podman;
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use serde_json::Value;

use crate::program::{Desk, answer, program, run, succeed};

/// An image of a small page, recorded as `page:1.0`, in gzip, which every engine reads.
fn desk_with_page() -> Desk {
    let desk = Desk::new();
    desk.write("page/index.html", "<h1>a page</h1>\n");
    succeed(&mut desk.floe(&["build", "./page", "--name", "page", "--tag", "1.0", "--compression", "gzip"]));
    desk
}

fn open_registry() -> Distribution {
    let configuration =
        Configuration { authentication: Authentication::Open, tls: false, client_certificates: false };
    Distribution::start(configuration).unwrap_or_else(|error| panic!("{error}"))
}

/// Copies, and returns the digests that floe says were delivered.
fn copy(command: &mut Command) -> Vec<String> {
    let written = succeed(command);
    let results = String::from_utf8(written.stdout).expect("JSON");
    let digest = |line: &str| {
        let result: Value = serde_json::from_str(line).expect("JSON");
        result["digest"].as_str().expect("a digest").to_owned()
    };
    results.lines().map(digest).collect()
}

/// All places of one test.
struct Harbour {
    desk: Desk,
    registry: Distribution,
    podman: Podman,
    docker: Docker,
    containerd: Containerd,
}

/// What a place says of an image: the digests of its manifest and of its config, where it knows them.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    manifest: Option<String>,
    config: Option<String>,
}

impl Harbour {
    fn new() -> Self {
        Self {
            desk: desk_with_page(),
            registry: open_registry(),
            podman: Podman::start().unwrap_or_else(|error| panic!("{error}")),
            docker: Docker::start().unwrap_or_else(|error| panic!("{error}")),
            containerd: Containerd::start().unwrap_or_else(|error| panic!("{error}")),
        }
    }

    fn engines(&self) -> [&dyn Engine; 3] {
        [&self.podman, &self.docker, &self.containerd]
    }

    /// floe in the environment of all engines at once.
    fn floe(&self, words: &[&str]) -> Command {
        let mut command = self.desk.floe(words);
        for engine in self.engines() {
            command.envs(engine.environment());
        }
        command
    }

    /// A name for an image in each kind of place, as a destination and as a source.
    fn places(&self, name: &str) -> Vec<(&'static str, String)> {
        let engine = |word: &str| format!("{word}:localhost/{name}:1.0");
        vec![
            ("oci", format!("oci:{name}:1.0")),
            ("oci-archive", format!("oci-archive:{name}.oci.tar")),
            ("docker-archive", format!("docker-archive:{name}.docker.tar")),
            ("docker://", format!("docker://{}/{name}:1.0", self.registry.host())),
            ("podman", engine("podman")),
            ("docker", engine("docker")),
            ("containerd", engine("containerd")),
        ]
    }

    /// What a place holds, by its own or somebody else's word.
    fn held(&self, kind: &str, name: &str) -> Held {
        let skopeo = |words: &[&str]| {
            answer(program("skopeo", &[&["inspect"], words].concat()).current_dir(self.desk.path("")))
        };
        let digest = |bytes: String| {
            let sum = answer(program("sh", &["-c", "printf %s \"$0\" | sha256sum", &bytes]).current_dir("/"));
            format!("sha256:{}", sum.split(' ').next().unwrap_or_default())
        };
        let engine = |engine: &dyn Engine, words: &[&str]| {
            let mut command = engine.command();
            command.args(words);
            answer(&mut command)
        };
        let localhost = format!("localhost/{name}:1.0");
        match kind {
            "podman" => {
                let id = engine(&self.podman, &["image", "inspect", "--format", "{{.Id}}", &localhost]);
                Held { manifest: None, config: Some(format!("sha256:{id}")) }
            }
            "docker" => {
                let id = engine(&self.docker, &["image", "inspect", "--format", "{{.Id}}", &localhost]);
                Held { manifest: None, config: Some(id) }
            }
            "containerd" => {
                let listed = engine(&self.containerd, &["images", "list", &format!("name=={localhost}")]);
                let digest = listed.split_whitespace().find(|word| word.starts_with("sha256:"));
                Held { manifest: Some(digest.expect("ctr lists digests").to_owned()), config: None }
            }
            _ => {
                let (_, place) =
                    self.places(name).into_iter().find(|(found, _)| *found == kind).expect("a kind of place");
                // The hybrid has OCI's documents too, which skopeo reads as what they are.
                let place = place.replacen("docker-archive:", "oci-archive:", 1);
                let tls = if kind == "docker://" { &["--tls-verify=false"][..] } else { &[] };
                let raw = skopeo(&[tls, &["--raw", &place]].concat());
                Held { manifest: Some(digest(raw)), config: None }
            }
        }
    }
}

#[test]
fn every_source_reaches_every_destination() {
    let harbour = Harbour::new();
    let built = succeed(&mut harbour.desk.floe(&["images", "--json"]));
    let built: Value = serde_json::from_slice(&built.stdout).expect("one line of JSON");
    let manifest = built["digest"].as_str().expect("a digest").to_owned();

    // From the record to each kind of place, whose copies are the sources of all others.
    let seeds = harbour.places("seed");
    for (kind, place) in &seeds {
        assert_eq!(
            copy(&mut harbour.floe(&["copy", "--json", "page:1.0", place])),
            std::slice::from_ref(&manifest),
            "{kind}"
        );
    }
    let config = harbour.held("docker", "seed").config.expect("docker calls images by their config");

    for (number, (from, source)) in seeds.iter().enumerate() {
        let name = format!("copy{number}");
        let forgets = matches!(*from, "podman" | "docker");
        for (to, destination) in harbour.places(&name) {
            let digests = copy(&mut harbour.floe(&["copy", "--json", source, &destination]));
            let held = harbour.held(to, &name);
            if let Some(held) = held.config {
                assert_eq!(held, config, "{from} to {to}");
            }
            if let Some(held) = held.manifest {
                assert_eq!(digests, std::slice::from_ref(&held), "{from} to {to}");
                assert_eq!(held == manifest, !forgets, "{from} to {to}");
            }
        }
    }

    // Several destinations of one source, each as if it were alone.
    let places = harbour.places("together");
    let destinations: Vec<&str> = places.iter().map(|(_, place)| place.as_str()).collect();
    let source = &seeds[3].1;
    let digests = copy(&mut harbour.floe(&[&["copy", "--json", source][..], &destinations].concat()));
    assert_eq!(digests, vec![manifest; places.len()]);
    for (kind, _) in places {
        let Held { manifest: held, config: id } = harbour.held(kind, "together");
        assert!(held.is_none_or(|held| held == digests[0]) && id.is_none_or(|id| id == config), "{kind}");
    }
}

#[test]
fn a_registry_takes_blobs_over_from_its_own_repositories() {
    let (desk, registry) = (desk_with_page(), open_registry());
    let place = |name: &str| format!("docker://{}/{name}:1.0", registry.host());
    copy(&mut desk.floe(&["copy", "--json", "page:1.0", &place("first")]));
    let written = succeed(&mut desk.floe(&["copy", "--json", &place("first"), &place("second")]));
    let result: Value = serde_json::from_slice(&written.stdout).expect("one line of JSON");
    let manifest =
        answer(&mut program("skopeo", &["inspect", "--tls-verify=false", "--raw", &place("second")]));
    assert_eq!(result["written"], manifest.len(), "only the manifest was sent");
}

#[test]
fn damage_on_the_way_leaves_nothing() {
    let (desk, registry) = (desk_with_page(), open_registry());
    let source = format!("docker://{}/page:1.0", registry.host());
    copy(&mut desk.floe(&["copy", "--json", "page:1.0", &source]));
    let manifest = answer(&mut program("skopeo", &["inspect", "--tls-verify=false", "--raw", &source]));
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let layer = manifest["layers"][0]["digest"].as_str().expect("a digest");
    let hex = layer.trim_start_matches("sha256:");
    let blob =
        registry.storage().join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data");
    let right = std::fs::read(&blob).expect("the registry keeps it there");
    let flipped = [&right[..20], &[right[20] ^ 1], &right[21..]].concat();
    let longer = [&right[..], b"more"].concat();
    let other = open_registry();
    let elsewhere = format!("docker://{}/other:1.0", other.host());
    for (damage, bytes) in
        [("a flipped bit", &flipped[..]), ("cut off", &right[..right.len() - 1]), ("longer", &longer)]
    {
        std::fs::write(&blob, bytes).expect("the registry's files are ours");
        for destinations in [
            &["oci:new"][..],
            &["oci-archive:new.tar"],
            &["docker-archive:new.tar"],
            &[&elsewhere],
            &["oci:new", "oci-archive:new.tar", &elsewhere],
        ] {
            let ended = run(&mut desk.floe(&[&["copy", &source][..], destinations].concat()), 1);
            assert!(ended.stderr.contains(layer), "{damage}, {destinations:?}: {}", ended.stderr);
        }
        let kept = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
        let left: Vec<_> = std::fs::read_dir(desk.path("")).expect("a folder").map(kept).collect();
        assert_eq!(left, ["page"], "{damage}");
        let manifests = other.storage().join("docker/registry/v2/repositories/other/_manifests");
        assert!(!manifests.exists(), "{damage}: the other registry has a manifest");
    }
    std::fs::write(&blob, &right).expect("the registry's files are ours");
    succeed(&mut desk.floe(&["copy", &source, "oci:new"]));
    assert!(Path::new(&desk.path("new/index.json")).exists());
}

/// The layers of an image, as skopeo reads them.
fn layers(desk: &Desk, place: &str) -> Value {
    let words = ["inspect", "--tls-verify=false", "--raw", place];
    let text = answer(program("skopeo", &words).current_dir(desk.path("")));
    let mut manifest: Value = serde_json::from_str(&text).expect("JSON");
    manifest["layers"].take()
}

#[test]
fn foreign_images_are_recorded_and_their_layers_stay() {
    let (theirs, ours, registry) = (desk_with_page(), Desk::new(), open_registry());
    let reference = format!("{}/page:1.0", registry.host());
    let place = format!("docker://{reference}");
    copy(&mut theirs.floe(&["copy", "--json", "page:1.0", &place, "oci:layout:1.0"]));
    let expected = layers(&theirs, &place);

    // From a registry, where the layers stay.
    copy(&mut ours.floe(&["pull", "--json", &reference]));
    let listed = answer(&mut ours.floe(&["images", "--json"]));
    let listed: Value = serde_json::from_str(&listed).expect("one line of JSON");
    assert_eq!(listed["name"], format!("{}/page", registry.host()));
    copy(&mut ours.floe(&["copy", "--json", &reference, "oci:back:1"]));
    assert_eq!(layers(&ours, "oci:back:1"), expected);
    // Pushed to its neighbour there, without one byte of a layer, also when the cache is empty.
    std::fs::remove_dir_all(ours.path("../cache")).expect("the cache is there");
    let neighbour = format!("{}/neighbour:1", registry.host());
    let pushed = answer(&mut ours.floe(&["push", "--json", &reference, &neighbour]));
    let pushed: Value = serde_json::from_str(&pushed).expect("one line of JSON");
    assert!(pushed["sent"].as_u64().is_some_and(|sent| sent < 2_000), "{pushed}");
    assert_eq!(layers(&ours, &format!("docker://{neighbour}")), expected);

    // From a layout that goes away, after which floe keeps the layers itself.
    let layout = format!("oci:{}:1.0", theirs.text("layout"));
    copy(&mut ours.floe(&["copy", "--json", &layout, "recorded:kept:1"]));
    std::fs::remove_dir_all(theirs.path("layout")).expect("the layout is there");
    succeed(&mut ours.floe(&["gc"]));
    let again = copy(&mut ours.floe(&["copy", "--json", "kept:1", "recorded:twin:1", "oci:again:1"]));
    assert_eq!(again[0], again[1]);
    assert_eq!(layers(&ours, "oci:again:1"), expected);
    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    succeed(ours.floe(&["load", "podman", "twin:1"]).envs(podman.environment()));
    assert_eq!(podman.images().expect("it lists"), ["localhost/twin:1"]);
}

/// Kills a copy after each of these shares of the time that a whole one takes.
const MOMENTS: [f64; 7] = [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.97];

/// A registry with an image of some megabytes, `large:1`.
fn registry_with_large(desk: &Desk) -> (Distribution, String) {
    let registry = open_registry();
    for name in ["one", "two", "three"] {
        desk.write(&format!("{name}/file"), &name.repeat(4_000_000));
    }
    let source = format!("docker://{}/large:1", registry.host());
    let build =
        ["build", "./one", "./two", "./three", "--name", "large", "--compression", "none", "--to", &source];
    succeed(&mut desk.floe(&build));
    (registry, source)
}

/// Starts a copy and kills it; false when it was faster.
fn kill_one(desk: &Desk, source: &str, destination: &str, after: Duration) -> bool {
    let mut command = desk.floe(&["copy", "--quiet", source, destination]);
    let mut child = command.stderr(Stdio::null()).spawn().expect("floe starts");
    sleep(after);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends").code().is_none()
}

#[test]
fn killed_copies_leave_no_file_half_written() {
    let desk = Desk::new();
    let (_registry, source) = registry_with_large(&desk);
    for (destination, named) in
        [("oci:out/layout:1", "layout/index.json"), ("oci-archive:out/file.tar", "file.tar")]
    {
        let out = desk.path("out");
        std::fs::create_dir(&out).expect("a folder");
        let started = Instant::now();
        let whole = copy(&mut desk.floe(&["copy", "--json", &source, destination]));
        let duration = started.elapsed();
        std::fs::remove_dir_all(&out).expect("a folder");
        std::fs::create_dir(&out).expect("a folder");
        let mut killed = 0;
        for moment in MOMENTS {
            killed += u32::from(kill_one(&desk, &source, destination, duration.mul_f64(moment)));
            if out.join(named).exists() {
                // Whatever has a name is whole.
                let copied = format!("dir:{}", desk.text("check"));
                let mut skopeo = program("skopeo", &["copy", "--insecure-policy", destination, &copied]);
                succeed(skopeo.current_dir(desk.path("")));
            }
        }
        assert!(killed > 0, "every copy to {destination} was faster than its kill");
        assert_eq!(copy(&mut desk.floe(&["copy", "--json", &source, destination])), whole, "{destination}");
        let left =
            std::fs::read_dir(&out).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let first = named.split('/').next().expect("a name");
        assert_eq!(left.collect::<Vec<_>>(), [first], "the next copy takes away what killed ones left");
        std::fs::remove_dir_all(&out).expect("a folder");
    }
}

#[test]
fn killed_copies_leave_no_tag_of_what_is_not_there() {
    let (desk, other) = (Desk::new(), open_registry());
    let (_registry, source) = registry_with_large(&desk);
    let started = Instant::now();
    copy(&mut desk.floe(&["copy", "--json", &source, &format!("docker://{}/whole:1", other.host())]));
    let duration = started.elapsed();
    let mut killed = 0;
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        // A repository of its own: what another one has must be sent again.
        let repository = format!("large{number}");
        let reference = format!("{}/{repository}:1", other.host());
        killed +=
            u32::from(kill_one(&desk, &source, &format!("docker://{reference}"), duration.mul_f64(moment)));
        let manifests =
            other.storage().join("docker/registry/v2/repositories").join(&repository).join("_manifests");
        if manifests.join("tags/1").exists() {
            // crane takes every layer for gzip; skopeo reads them all by their digests.
            let copied = format!("dir:{}", desk.text("check"));
            let (place, plain) = (format!("docker://{reference}"), "--src-tls-verify=false");
            succeed(&mut program("skopeo", &["copy", "--insecure-policy", plain, &place, &copied]));
        }
    }
    assert!(killed > 0, "every copy was faster than its kill");
}
