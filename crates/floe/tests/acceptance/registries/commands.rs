//! `floe digest`, `manifest`, `config`, `tags`, `tag` and `delete`, against distribution 2.8 and the test kit's registry.

use floe_image::oci::Digest;
use floe_testkit::registry::distribution::Authentication;
use floe_testkit::registry::in_process::{Behaviour, Endpoint, Registry};
use serde_json::{Value, json};

use super::home::{Home, distribution, newer};
use crate::program::{answer, run, succeed};

fn in_process(behaviour: Behaviour) -> Registry {
    Registry::with(behaviour).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn tags_and_retags_without_moving_a_layer() {
    let home = Home::new();
    let registry = in_process(Behaviour { page_size: Some(2), ..Behaviour::default() });
    let repository = format!("{}/team/site", registry.host());
    home.push(&format!("{repository}:1.0.3"));
    registry.clear_requests();

    let said = succeed(&mut home.floe(&[
        "tag",
        &format!("{repository}:1.0.3"),
        "1.0",
        "1",
        &format!("{repository}:latest"),
    ]));
    assert_eq!(said.stderr.lines().count(), 3, "{}", said.stderr);
    assert!(said.stderr.starts_with(&format!("{repository}:1.0  sha256:")), "{}", said.stderr);
    assert_eq!(registry.count("PUT", Endpoint::Manifest), 3);
    assert_eq!(registry.requests().iter().filter(|request| request.endpoint == Endpoint::Blob).count(), 0);
    let manifests: Vec<_> =
        ["1.0.3", "1.0", "1", "latest"].iter().map(|tag| registry.manifest("team/site", tag)).collect();
    assert!(manifests.iter().all(|manifest| manifest.is_some() && *manifest == manifests[0]));

    // Two a page, so the list takes two.
    registry.clear_requests();
    assert_eq!(answer(&mut home.floe(&["tags", &repository])), "1\n1.0\n1.0.3\nlatest");
    assert!(registry.count("GET", Endpoint::Tags) >= 2);
    let listed: Value =
        serde_json::from_str(&answer(&mut home.floe(&["tags", &repository, "--json"]))).expect("JSON");
    assert_eq!(listed, json!({ "repository": repository, "tags": ["1", "1.0", "1.0.3", "latest"] }));
}

/// The digest of what a program printed.
fn digest_of(written: &[u8]) -> String {
    Digest::of(written).to_string()
}

#[test]
fn looks_at_images_where_they_are() {
    let (home, registry) = (Home::new(), in_process(Behaviour::default()));
    let repository = format!("{}/team/site", registry.host());
    let arm = ["build", "./site", "--name", "site", "--tag", "arm", "--platform", "linux/arm64"];
    succeed(home.floe(&arm).args(["--to", "oci:images", "--to", "oci-archive:arm.tar"]));
    succeed(&mut home.floe(&[
        "build",
        "./site",
        "--name",
        "site",
        "--tag",
        "arm",
        "--platform",
        "linux/arm64",
    ]));
    home.push(&format!("{repository}:amd64"));
    succeed(&mut home.floe(&["push", "site:arm", &format!("{repository}:arm64")]));
    let [amd, arm, both] = ["amd64", "arm64", "both"].map(|tag| format!("{repository}:{tag}"));
    succeed(&mut newer(&home, "crane", &["index", "append", "-m", &amd, "-m", &arm, "-t", &both]));

    let stored = |tag| registry.manifest("team/site", tag).expect("it was pushed");
    let by_digest = format!("{repository}@{}", digest_of(&stored("arm64")));
    for (image, platform, expected, architecture) in [
        (both.as_str(), None, stored("both"), "amd64"),
        (&both, Some("linux/arm64"), stored("arm64"), "arm64"),
        (&both, Some("aarch64-linux"), stored("arm64"), "arm64"),
        (&amd, None, stored("amd64"), "amd64"),
        (&format!("docker://{amd}"), None, stored("amd64"), "amd64"),
        (&by_digest, None, stored("arm64"), "arm64"),
        ("oci:images", None, stored("arm64"), "arm64"),
        ("oci-archive:arm.tar", None, stored("arm64"), "arm64"),
        ("site:arm", None, stored("arm64"), "arm64"),
        ("recorded:site:1", None, stored("amd64"), "amd64"),
    ] {
        let look = |command: &str| {
            let mut floe = home.floe(&[command, image]);
            floe.args(platform.map(|platform| format!("--platform={platform}")));
            succeed(&mut floe).stdout
        };
        assert_eq!(
            String::from_utf8_lossy(&look("digest")).trim(),
            digest_of(&expected),
            "{image} {platform:?}"
        );
        assert_eq!(look("manifest"), expected, "{image} {platform:?}");
        let config: Value = serde_json::from_slice(&look("config")).expect("JSON");
        assert_eq!(config["architecture"], architecture, "{image} {platform:?}");
        let manifest: Value = serde_json::from_slice(&expected).expect("JSON");
        if manifest.get("config").is_some() {
            assert_eq!(digest_of(&look("config")), manifest["config"]["digest"], "{image}");
        }
    }

    // A tag's digest is asked for and not read.
    registry.clear_requests();
    let described: Value =
        serde_json::from_str(&answer(&mut home.floe(&["digest", &both, "--json"]))).expect("JSON");
    assert_eq!(described["mediaType"], "application/vnd.oci.image.index.v1+json");
    assert_eq!(
        (registry.count("HEAD", Endpoint::Manifest), registry.count("GET", Endpoint::Manifest)),
        (1, 0)
    );

    for (words, code, said) in [
        (vec!["digest", "{repository}:bot"], 1, "did you mean '{repository}:both'?"),
        (vec!["manifest", "{repository}:bot"], 1, "did you mean '{repository}:both'?"),
        (vec!["config", "{repository}:both", "--platform", "linux/s390x"], 1, "--platform linux/amd64"),
        (vec!["digest", "absent"], 1, "no image 'absent"),
        (vec!["manifest", "oci:nothing"], 1, "nothing"),
        (vec!["config", "Site"], 2, "'Site'"),
    ] {
        let fill = |text: &str| text.replace("{repository}", &repository);
        let words: Vec<String> = words.iter().map(|word| fill(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = run(&mut home.floe(&words), code).stderr;
        assert!(told.contains(&fill(said)), "{words:?}: {told}");
    }
}

#[test]
fn mistakes_get_the_next_step() {
    let home = Home::new();
    let registry = in_process(Behaviour::default());
    let host = registry.host();
    let repository = format!("{host}/team/site");
    for tag in ["latest", "stable"] {
        home.push(&format!("{repository}:{tag}"));
    }
    for (words, code, error, hint) in [
        (vec!["tag", "{repository}:lates", "x"], 1, "is not there", "did you mean '{repository}:latest'?"),
        (vec!["tag", "{repository}:1", "x"], 1, "is not there", "{repository} has: latest, stable"),
        (vec!["tag", "{host}/absent:1", "x"], 1, "is not there", "no tag is listed in {host}/absent"),
        (vec!["tag", "{repository}:latest", "a b"], 2, "a b", ""),
        (vec!["tag", "{repository}:latest", "{host}/other:1"], 2, "another repository", "floe copy"),
        (vec!["tag", "{repository}:latest", "{repository}"], 0, "{repository}:latest", ""),
        (vec!["delete", "{repository}"], 2, "names a repository", "{repository}:latest"),
        (vec!["delete", "{repository}:latest"], 2, "no terminal", "--yes"),
        (vec!["delete", "--yes", "{repository}:lates"], 1, "is not there", "did you mean"),
        (vec!["tags", "{host}/absent"], 1, "404", ""),
        (vec!["tags", "127.0.0.1:1/absent"], 1, "cannot connect", "check the name"),
        (vec!["tags", "Absent"], 2, "lower case", "such as"),
    ] {
        let fill = |text: &str| text.replace("{repository}", &repository).replace("{host}", &host);
        let words: Vec<String> = words.iter().map(|word| fill(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = run(&mut home.floe(&words), code).stderr;
        assert!(said.contains(&fill(error)) && said.contains(&fill(hint)), "{words:?}: {said}");
    }
    assert_eq!(registry.tags("team/site"), ["latest", "stable"]);
}

#[test]
fn deletes_where_the_registry_does() {
    let home = Home::new();
    let registry = in_process(Behaviour::default());
    let repository = format!("{}/team/site", registry.host());
    for tag in ["1", "2"] {
        home.push(&format!("{repository}:{tag}"));
    }
    let said = succeed(&mut home.floe(&["delete", "--yes", &format!("{repository}:1")])).stderr;
    assert_eq!(said, format!("deleted {repository}:1\n"));
    assert_eq!(registry.tags("team/site"), ["2"]);

    let registry = in_process(Behaviour { delete: false, ..Behaviour::default() });
    let repository = format!("{}/team/site", registry.host());
    home.push(&format!("{repository}:1"));
    let said = home.failure(&["delete", "--yes", &format!("{repository}:1")]);
    let digest = said.split("floe delete ").nth(1).unwrap_or_else(|| panic!("{said}")).trim();
    let said = home.failure(&["delete", "--yes", digest]);
    assert!(said.contains("405") && said.contains("hint: the registry does not delete"), "{said}");
}

/// distribution 2.8 deletes no tag alone; the way that its error shows deletes the image.
#[test]
fn deletes_from_distribution() {
    let (home, registry) = (Home::new(), distribution(Authentication::Open));
    let repository = format!("{}/team/site", registry.host());
    home.push(&format!("{repository}:1"));
    let said = home.failure(&["delete", "--yes", &format!("{repository}:1")]);
    let image = said.split("floe delete ").nth(1).unwrap_or_else(|| panic!("{said}")).trim();
    assert!(image.starts_with(&format!("{repository}@sha256:")), "{said}");
    succeed(&mut home.floe(&["delete", "--yes", image]));
    assert!(home.failure(&["tag", &format!("{repository}:1"), "2"]).contains("is not there"));
}
