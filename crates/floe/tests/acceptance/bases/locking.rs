//! `floe.lock`: a tag that moves is noticed by `floe lock --update` alone.

use std::process::Command;

use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use floe_testkit::registry::in_process;

use super::{build, desk};
use crate::program::{Desk, program, run, succeed};

/// Puts a layout's image under a reference.
pub(super) fn put(desk: &Desk, layout: &str, reference: &str) {
    let (from, to) = (format!("oci:{}:1", desk.text(layout)), format!("docker://{reference}"));
    succeed(&mut program("skopeo", &["copy", "--quiet", "--dest-tls-verify=false", &from, &to]));
}

fn floe_toml(desk: &Desk, reference: &str) {
    desk.write(
        "floe.toml",
        &format!("[image.app]\nbase = \"docker://{reference}\"\ncontents = [\"./tool\"]\n"),
    );
}

#[test]
fn a_moved_tag_changes_nothing_until_the_lock_is_updated() {
    let configuration =
        Configuration { authentication: Authentication::Open, tls: false, client_certificates: false };
    let registry = Distribution::start(configuration).unwrap_or_else(|error| panic!("{error}"));
    let desk = desk();
    let reference = format!("{}/base:1", registry.host());
    put(&desk, "busybox", &reference);
    floe_toml(&desk, &reference);

    let refused = run(&mut desk.floe(&["build", "app", "--locked", "--to", "oci:refused"]), 1).stderr;
    assert!(
        refused.contains("floe.lock does not say what docker://") && refused.contains("hint: "),
        "{refused}"
    );
    assert!(!desk.path("refused").exists() && !desk.path("floe.lock").exists());
    let first = build(&desk, &["app", "--to", "oci:first"]);
    let lock = std::fs::read_to_string(desk.path("floe.lock")).expect("it was written");

    put(&desk, "distroless", &reference);
    for flags in [&[][..], &["--locked"], &["--no-memo"]] {
        assert_eq!(build(&desk, &[&["app", "--to", "oci:again"], flags].concat()), first, "{flags:?}");
    }
    succeed(&mut desk.floe(&["lock", "--locked"]));
    succeed(&mut desk.floe(&["lock"]));
    assert_eq!(std::fs::read_to_string(desk.path("floe.lock")).expect("it is there"), lock);

    let said = succeed(&mut desk.floe(&["lock", "--update", "app"])).stderr;
    assert!(said.contains(", was ") && said.contains("floe.lock written"), "{said}");
    let second = build(&desk, &["app", "--to", "oci:second"]);
    assert_ne!(second, first);
    // An entry that is gone is forgotten.
    desk.write("floe.toml", "[image.app]\ncontents = [\"./tool\"]\n");
    run(&mut desk.floe(&["lock", "--locked"]), 1);
    let said = succeed(&mut desk.floe(&["lock"])).stderr;
    assert!(said.contains("no image of floe.toml has a base"), "{said}");
    assert!(!std::fs::read_to_string(desk.path("floe.lock")).expect("it is there").contains("[[base]]"));
}

#[test]
fn a_locked_base_asks_no_registry_again() {
    let registry = in_process::Registry::start().unwrap_or_else(|error| panic!("{error}"));
    let desk = desk();
    let reference = format!("{}/base:1", registry.host());
    put(&desk, "busybox", &reference);
    floe_toml(&desk, &reference);
    let first = build(&desk, &["app"]);
    registry.clear_requests();
    assert_eq!(build(&desk, &["app"]), first);
    assert_eq!(registry.requests().len(), 0, "{:?}", registry.requests());
    // The record needs no registry either while the cache has the layers.
    succeed(&mut desk.floe(&["export", "app", "app.tar"]));
    assert_eq!(registry.requests().len(), 0, "{:?}", registry.requests());
    // A name with a digest is locked by itself.
    let text = std::fs::read_to_string(desk.path("floe.lock")).expect("it was written");
    let digest =
        text.lines().find_map(|line| line.strip_prefix("digest = ")).expect("a digest").trim_matches('"');
    floe_toml(&desk, &format!("{}/base@{digest}", registry.host()));
    std::fs::remove_file(desk.path("floe.lock")).expect("it is there");
    assert_eq!(build(&desk, &["app", "--locked"]), first);
    assert!(!desk.path("floe.lock").exists());
}

/// A base in a file that is replaced is an error, not another image.
#[test]
fn a_replaced_file_is_noticed() {
    let desk = desk();
    desk.write("floe.toml", "[image.app]\nbase = \"oci:base\"\ncontents = [\"./tool\"]\n");
    let copy = |from: &str| {
        let words = ["-r", &desk.text(from), &desk.text("base")];
        succeed(Command::new("rm").args(["-rf", &desk.text("base")]));
        succeed(Command::new("cp").args(words));
    };
    copy("busybox");
    let first = build(&desk, &["app", "--to", "oci:first"]);
    copy("distroless");
    // What is remembered of the locked base is still true.
    assert_eq!(build(&desk, &["app", "--to", "oci:second"]), first);
    let failed = run(&mut desk.floe(&["build", "app", "--no-memo", "--to", "oci:third"]), 1).stderr;
    assert!(failed.contains("hint: if the base was replaced on purpose: floe lock --update"), "{failed}");
    succeed(&mut desk.floe(&["lock", "--update"]));
    assert_ne!(build(&desk, &["app", "--to", "oci:fourth"]), first);
}
