//! A base's layers on their way into registries: taken over on the same host, passed on to another, kept for the record.

use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use floe_testkit::registry::in_process;

use super::locking::put;
use super::{build, desk};
use crate::layout::Layout;
use crate::program::{Desk, answer, program, succeed};

fn base_layer(desk: &Desk) -> (String, u64) {
    let layer = Layout::read(&desk.path("busybox")).layers()[0].clone();
    (layer["digest"].as_str().expect("a digest").to_owned(), layer["size"].as_u64().expect("a size"))
}

#[test]
fn the_same_host_is_sent_no_byte_of_the_base() {
    let registry = in_process::Registry::start().unwrap_or_else(|error| panic!("{error}"));
    let desk = desk();
    let (digest, size) = base_layer(&desk);
    put(&desk, "busybox", &format!("{}/base:1", registry.host()));
    registry.clear_requests();
    let base = format!("docker://{}/base:1", registry.host());
    // Once straight from the build, once from the record.
    let words = ["./tool", "--base", &base, "--name", "app"];
    build(&desk, &[&words[..], &["--to", &format!("docker://{}/team/built:1", registry.host())]].concat());
    build(&desk, &words);
    succeed(&mut desk.floe(&["push", "app", &format!("{}/team/recorded:1", registry.host())]));
    for repository in ["team/built", "team/recorded"] {
        let bytes = registry.blob(repository, &digest).expect("the base's layer");
        assert_eq!(bytes.len() as u64, size);
        let requests = registry.requests();
        let here =
            || requests.iter().filter(|request| request.path.starts_with(&format!("/v2/{repository}/")));
        let is_mount = |request: &in_process::Request| {
            request.query.contains(&("mount".to_owned(), digest.clone())) && request.status == Some(201)
        };
        assert_eq!(here().filter(|request| is_mount(request)).count(), 1, "{repository}");
        let is_upload = |request: &in_process::Request| {
            request.method == "PUT" && request.query.contains(&("digest".to_owned(), digest.clone()))
        };
        assert!(!here().any(is_upload), "{repository}: the base's layer was sent");
    }
}

#[test]
fn another_registry_gets_the_bases_bytes_from_the_first() {
    let open = || {
        let configuration =
            Configuration { authentication: Authentication::Open, tls: false, client_certificates: false };
        Distribution::start(configuration).unwrap_or_else(|error| panic!("{error}"))
    };
    let (from, to) = (open(), open());
    let desk = desk();
    let (digest, _) = base_layer(&desk);
    put(&desk, "busybox", &format!("{}/base:1", from.host()));
    let base = format!("docker://{}/base:1", from.host());
    let built = build(&desk, &["./tool", "--base", &base, "--name", "app", "--compression", "gzip"]);
    // The cache forgets; the record knows where the layer is.
    succeed(&mut desk.floe(&["gc", "--no-cache"]));
    let target = format!("{}/team/app:1", to.host());
    succeed(&mut desk.floe(&["push", "app", &target]));
    let image = format!("docker://{target}");
    let inspect = ["inspect", "--tls-verify=false", "--format", "{{.Digest}} {{.Layers}}", &image];
    let seen = answer(&mut program("skopeo", &inspect));
    assert!(seen.starts_with(&built) && seen.contains(&digest), "{seen}");
    // Every byte is there: skopeo fetches and checks all of them.
    let copy =
        ["copy", "--quiet", "--src-tls-verify=false", &image, &format!("oci:{}:1", desk.text("pulled"))];
    succeed(&mut program("skopeo", &copy));
    assert_eq!(Layout::read(&desk.path("pulled")).layers()[0]["digest"], digest.as_str());
}

#[test]
fn layers_of_a_base_in_a_file_outlive_the_file() {
    let desk = desk();
    let (digest, size) = base_layer(&desk);
    build(&desk, &["./tool", "--base", "oci:busybox", "--name", "app", "--compression", "gzip"]);
    std::fs::remove_dir_all(desk.path("busybox")).expect("it is ours");
    succeed(&mut desk.floe(&["gc", "--no-cache"]));
    succeed(&mut desk.floe(&["export", "app", "oci:exported:1"]));
    let exported = Layout::read(&desk.path("exported"));
    let blob = std::fs::metadata(exported.blob(&exported.layers()[0])).expect("the base's layer");
    assert_eq!(blob.len(), size);

    // When no image names it, and it was not used for a day, it goes.
    let kept = desk.path("../data/floe/layers").join(digest.trim_start_matches("sha256:"));
    let days_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(48 * 3600);
    let age = || {
        std::fs::File::options()
            .write(true)
            .open(&kept)
            .expect("it is kept")
            .set_modified(days_ago)
            .expect("ours");
    };
    age();
    succeed(&mut desk.floe(&["gc"]));
    assert!(kept.exists(), "a recorded image names it");
    succeed(&mut desk.floe(&["remove", "app"]));
    age();
    succeed(&mut desk.floe(&["gc"]));
    assert!(!kept.exists());
}
