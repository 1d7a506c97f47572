//! A base for several platforms: one lock, and each image upon the one that is for it.

use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};

use super::desk;
use crate::program::{answer, program, succeed};

#[test]
fn every_system_is_built_upon_its_own_image() {
    let configuration =
        Configuration { authentication: Authentication::Open, tls: false, client_certificates: false };
    let registry = Distribution::start(configuration).unwrap_or_else(|error| panic!("{error}"));
    let desk = desk();
    // Two bases that differ in more than their words: only one has a shell.
    let arm = format!("{}:1", desk.text("distroless"));
    succeed(&mut program("umoci", &["config", "--image", &arm, "--architecture", "arm64"]));
    let base = format!("{}/base:1", registry.host());
    succeed(&mut desk.floe(&["index", "create", &base, "oci:busybox", "oci:distroless"]));
    desk.write("floe.toml", &format!("[image.app]\nbase = \"docker://{base}\"\ncontents = [\"./page\"]\n"));

    desk.write("page/index.html", "<h1>for any processor</h1>\n");
    let systems = ["--system", "x86_64-linux", "--system", "aarch64-linux"];
    succeed(desk.floe(&["build", "app", "--to", "oci:app:1"]).args(systems));
    let lock = std::fs::read_to_string(desk.path("floe.lock")).expect("it was written");
    assert!(lock.contains("\"linux/amd64\" = ") && lock.contains("\"linux/arm64\" = "), "{lock}");
    for (architecture, base) in [("amd64", "busybox"), ("arm64", "distroless")] {
        let layer = |image: &str| {
            let words =
                ["--override-arch", architecture, "inspect", "--format", "{{index .Layers 0}}", image];
            answer(&mut program("skopeo", &words))
        };
        let built = layer(&format!("oci:{}:1", desk.text("app")));
        assert_eq!(built, layer(&format!("oci:{}:1", desk.text(base))), "{architecture}");
    }
    // Both are recorded and pushed with their bases.
    succeed(desk.floe(&["build", "app"]).args(systems));
    succeed(&mut desk.floe(&["push", "app", &format!("{}/app:1", registry.host())]));
    let image = format!("docker://{}/app:1", registry.host());
    let seen = answer(&mut program("skopeo", &["inspect", "--raw", "--tls-verify=false", &image]));
    assert!(seen.contains("arm64") && seen.contains("amd64"), "{seen}");
}
