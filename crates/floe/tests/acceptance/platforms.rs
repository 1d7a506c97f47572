//! Images for several systems: built from one flake, joined by an index, and pulled by everybody's programs.
//!
//! Nix repackages Debian's arm64 packages here, which runs none of them; see the test kit.

use std::process::Command;
use std::sync::OnceLock;

use floe_testkit::debian;
use floe_testkit::engine::Engine;
use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::podman::Podman;
use floe_testkit::machine::{nix_command, peer};
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use serde_json::Value;

use crate::program::{Desk, answer, program, run, succeed};

const BOTH: [&str; 4] = ["--system", "x86_64-linux", "--system", "aarch64-linux"];

/// The flake's shell, which Nix has for both systems.
fn shell() -> &'static str {
    static SHELL: OnceLock<String> = OnceLock::new();
    SHELL.get_or_init(|| {
        debian::aarch64_node_closure().unwrap_or_else(|error| panic!("{error:?}"));
        let closure = debian::node_closure().unwrap_or_else(|error| panic!("{error:?}"));
        format!("path:{}#bash", closure.flake.display())
    })
}

/// floe with the test kit's Nix.
fn floe(desk: &Desk, words: &[&str]) -> Command {
    let mut command = desk.floe(words);
    for (name, value) in nix_command("nix").get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn open_registry() -> Distribution {
    let configuration =
        Configuration { authentication: Authentication::Open, tls: false, client_certificates: false };
    Distribution::start(configuration).unwrap_or_else(|error| panic!("{error}"))
}

fn json(command: &mut Command) -> Value {
    let text = answer(command);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{command:?}: {error}: {text}"))
}

fn newer(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(peer(name).unwrap_or_else(|error| panic!("{error}")));
    command.args(words);
    command
}

/// The architectures of an index's entries, with the digest of each.
fn entries(index: &Value) -> Vec<(String, String)> {
    let entries = index["manifests"].as_array().unwrap_or_else(|| panic!("no index: {index}"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    entries.iter().map(|entry| (text(&entry["platform"]["architecture"]), text(&entry["digest"]))).collect()
}

#[test]
fn an_image_for_each_system_is_built_and_pulled_by_platform() {
    let (desk, registry) = (Desk::new(), open_registry());
    let reference = format!("{}/shell:1", registry.host());
    let docker = format!("docker://{reference}");
    let to = ["--to", &docker, "--to", "oci:both:1", "--to", "oci-archive:both.tar"];
    let name = ["build", shell(), "--name", "shell", "--tag", "1", "--compression", "gzip", "--json"];
    let built = json(&mut floe(&desk, &[&name[..], &BOTH, &to].concat()));
    assert_eq!(built["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));

    // The same bytes everywhere, and when it is built again.
    let raw = ["inspect", "--raw"];
    let index = answer(&mut program("skopeo", &[&raw[..], &["--tls-verify=false", &docker]].concat()));
    for place in ["oci:both:1", "oci-archive:both.tar"] {
        let found = answer(program("skopeo", &[&raw[..], &[place]].concat()).current_dir(desk.path("")));
        assert_eq!(found, index, "{place}");
    }
    let again = json(&mut floe(&desk, &[&name[..], &BOTH, &["--to", &docker]].concat()));
    assert_eq!((&again["digest"], &again["delivered"][0]["written"]), (&built["digest"], &0.into()));

    let index: Value = serde_json::from_str(&index).expect("JSON");
    let children = entries(&index);
    assert_eq!(children.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["amd64", "arm64"]);
    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    for (architecture, digest) in &children {
        let platform = format!("linux/{architecture}");
        // floe itself, into a layout.
        let layout = format!("oci:{architecture}:1");
        let pulled = json(&mut desk.floe(&["pull", &reference, &layout, "--platform", &platform, "--json"]));
        assert_eq!(pulled["digest"], digest.as_str());
        let config = json(program("skopeo", &["inspect", "--config", &layout]).current_dir(desk.path("")));
        assert_eq!(config["architecture"], architecture.as_str());

        let mut pull = podman.command();
        pull.args(["pull", "--quiet", "--tls-verify=false", "--platform", &platform, &reference]);
        let id = answer(&mut pull);
        let mut inspect = podman.command();
        inspect.args(["image", "inspect", "--format", "{{.Architecture}}", &id]);
        assert_eq!(&answer(&mut inspect), architecture);

        let copy = format!("dir:{}", desk.text(&format!("{architecture}.dir")));
        let choice = ["--override-arch", architecture, "--insecure-policy", "copy", "--src-tls-verify=false"];
        succeed(&mut program("skopeo", &[&choice[..], &[&docker, &copy]].concat()));
        let copied =
            std::fs::read(desk.path(&format!("{architecture}.dir/manifest.json"))).expect("a manifest");
        let fetched =
            answer(&mut newer("crane", &["manifest", "--insecure", "--platform", &platform, &reference]));
        assert_eq!(fetched.as_bytes(), copied.trim_ascii());
        let described = json(&mut newer(
            "oras",
            &["manifest", "fetch", "--plain-http", "--descriptor", "--platform", &platform, &reference],
        ));
        assert_eq!(described["digest"], digest.as_str());
    }

    // The whole index from one registry to another, and into containerd.
    let other = open_registry();
    let copied = format!("docker://{}/shell:1", other.host());
    let containerd = Containerd::start().unwrap_or_else(|error| panic!("{error}"));
    let mut copy = desk.floe(&["copy", "--all", &docker, &copied, "containerd:shell:1", "--json"]);
    let results = answer(copy.envs(containerd.environment()));
    for line in results.lines() {
        let result: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(result["digest"], built["digest"]);
    }
    let listed = answer(containerd.command().args(["images", "list"]));
    assert!(listed.contains("linux/amd64,linux/arm64"), "{listed}");

    let refused = run(&mut desk.floe(&["copy", "--all", &docker, "docker-archive:both.docker.tar"]), 1);
    assert!(
        refused.stderr.contains("of linux/amd64, linux/arm64\nhint: name one of its platforms"),
        "{}",
        refused.stderr
    );
    let missing = run(&mut desk.floe(&["pull", &reference, "oci:none", "--platform", "linux/s390x"]), 1);
    assert!(missing.stderr.contains("it has linux/amd64, linux/arm64\nhint: "), "{}", missing.stderr);
}

#[test]
fn recorded_images_for_several_systems_stay_together() {
    let (desk, registry) = (Desk::new(), open_registry());
    let build = ["build", shell(), "--name", "shell", "--tag", "1", "--json"];
    let built = json(&mut floe(&desk, &[&build[..], &BOTH].concat()));
    let listed = json(&mut desk.floe(&["images", "--json"]));
    assert_eq!((&listed["digest"], &listed["platforms"]), (&built["digest"], &built["platforms"]));

    let reference = format!("{}/shell:1", registry.host());
    let pushed = json(&mut desk.floe(&["push", "shell:1", &reference, "--json"]));
    assert_eq!(pushed["digest"], built["digest"]);
    let copied = json(&mut desk.floe(&["copy", "--all", "shell:1", "oci:both:1", "--json"]));
    assert_eq!(copied["digest"], built["digest"]);
    let one = json(&mut desk.floe(&["copy", "--platform", "linux/arm64", "shell:1", "oci:arm:1", "--json"]));
    let index = answer(program("skopeo", &["inspect", "--raw", "oci:both:1"]).current_dir(desk.path("")));
    let children = entries(&serde_json::from_str(&index).expect("JSON"));
    assert_eq!(one["digest"], children[1].1.as_str());

    // The image for this machine is what an engine gets.
    let podman = Podman::start().unwrap_or_else(|error| panic!("{error}"));
    let said = answer(
        desk.floe(&["run", "shell:1", "--engine", "podman", "--", "-c", "echo $MACHTYPE"])
            .envs(podman.environment()),
    );
    assert!(said.starts_with(std::env::consts::ARCH), "{said}");
}

#[test]
fn contents_that_are_for_another_system_are_refused() {
    let desk = Desk::new();
    let path = debian::node_closure().unwrap_or_else(|error| panic!("{error:?}"));
    let bash = path.root("bash").expect("bash is a root").to_str().expect("text");
    let refused = run(&mut floe(&desk, &["build", bash, "--system", "aarch64-linux"]), 1);
    let expected = "error: the contents are for x86_64-linux: expected aarch64-linux\nhint: ";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    let refused = run(&mut floe(&desk, &["build", shell(), "--system", "riscv64-linux"]), 1);
    assert!(
        refused.stderr.contains("expected packages.riscv64-linux.bash in the flake\nhint: "),
        "{}",
        refused.stderr
    );
    let refused = run(&mut floe(&desk, &[&["build", shell(), "--to", "podman:"][..], &BOTH].concat()), 2);
    assert!(refused.stderr.contains("'podman:' takes one image"), "{}", refused.stderr);

    // What runs anywhere goes into the image of each.
    desk.write("site/index.html", "<h1>hello</h1>\n");
    let site = ["build", "./site", "--name", "site", "--to", "oci:image", "--json"];
    let built = json(&mut floe(&desk, &[&site[..], &BOTH].concat()));
    assert_eq!(built["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
}

#[test]
fn images_that_were_built_elsewhere_are_joined() {
    let (desk, registry) = (Desk::new(), open_registry());
    let host = registry.host();
    let place = |tag: &str| format!("docker://{host}/site:{tag}");
    desk.write("site/index.html", "<h1>hello</h1>\n");
    let build = |system: &str, to: &str| {
        let words = ["build", "./site", "--name", "site", "--system", system, "--json"];
        let to: &[&str] = if to.is_empty() { &[] } else { &["--to", to] };
        json(&mut floe(&desk, &[&words[..], to].concat()))["digest"].as_str().expect("a digest").to_owned()
    };
    let digests = [
        build("x86_64-linux", &place("amd64")),
        build("aarch64-linux", "oci:arm:1"),
        build("riscv64-linux", ""),
    ];
    let reference = format!("{host}/site:1");
    let joined = json(&mut desk.floe(&[
        "index",
        "create",
        &reference,
        &place("amd64"),
        "oci:arm:1",
        "site",
        "--json",
    ]));
    let index = json(&mut program("skopeo", &["inspect", "--raw", "--tls-verify=false", &place("1")]));
    let expected: Vec<_> =
        ["amd64", "arm64", "riscv64"].map(str::to_owned).into_iter().zip(digests).collect();
    assert_eq!(entries(&index), expected);

    // Again in another repository: all is there or taken over, so that only manifests are sent.
    let elsewhere = format!("{host}/elsewhere:1");
    let again = json(&mut desk.floe(&["index", "create", &elsewhere, &place("1"), "--json"]));
    assert_eq!(again["digest"], joined["digest"]);
    let manifests: usize = std::iter::once(&index)
        .map(|index| serde_json::to_string(index).expect("JSON").len())
        .chain(
            index["manifests"]
                .as_array()
                .expect("entries")
                .iter()
                .map(|entry| usize::try_from(entry["size"].as_u64().expect("a size")).expect("small")),
        )
        .sum();
    assert_eq!(again["written"], manifests);

    let refused = run(&mut desk.floe(&["index", "create", &reference, &place("amd64"), &place("1")]), 1);
    assert!(refused.stderr.contains("error: two images are for linux/amd64, sha256:"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: leave one of them out"), "{}", refused.stderr);
}
