//! The same contents give the same manifest digest, whatever differs around the build.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use floe_testkit::machine::nix_command;

use crate::layout::Layout;
use crate::program::{Desk, answer, run, succeed, text};
use crate::shared_images::{node_server_path, shared_images};
use crate::store::ChrootStore;

/// Long enough for tar's pax headers, in any store.
const LONG_NAME: &str = "a-name-that-no-tar-header-of-1988-has-room-for-because-it-is-longer-than-one-hundred-bytes\
                         -and-so-needs-a-pax-header";

/// A small plain directory with every kind of file that a store path can hold.
fn site(desk: &Desk, parent: &str) -> String {
    desk.write(&format!("{parent}/site/index.html"), "<h1>site</h1>\n");
    desk.write(&format!("{parent}/site/empty"), "");
    desk.write(&format!("{parent}/site/copies/one"), "the same bytes\n");
    desk.write(&format!("{parent}/site/copies/two"), "the same bytes\n");
    desk.write(&format!("{parent}/site/copies/größe"), "a name beyond ASCII\n");
    desk.write(&format!("{parent}/site/{LONG_NAME}"), "a long name\n");
    let program = desk.write(&format!("{parent}/site/bin/site"), "#!/bin/sh\nexec true\n");
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).expect("an executable");
    symlink("../index.html", desk.path(&format!("{parent}/site/copies/link"))).expect("a link");
    std::fs::create_dir(desk.path(&format!("{parent}/site/nothing"))).expect("a folder");
    desk.text(&format!("{parent}/site"))
}

/// Flags under which the small image is the same on every machine.
const PINNED: [&str; 2] = ["--platform", "linux/amd64"];

/// The small image in zstd, gzip and uncompressed. They change when the bytes of images do, which users notice as new
/// digests of unchanged images: a change belongs into a commit, and a line of the changelog, that says why.
const KNOWN_DIGESTS: [&str; 3] = [
    "sha256:b35fd2160e89e205d68ea144d47f71ce034ef4553f0ffdab5144939323380957",
    "sha256:cd2e861701949f710167488c8fdaf6e27e3b75605b2a7ef884b437ba8867526d",
    "sha256:a44534f0665bb9f5356a948511687bef75241258c45d616ed81b3d027a0d8a59",
];

/// Builds into a layout and returns its manifest digest.
fn digest(desk: &Desk, command: &mut Command) -> String {
    let target = tempfile::tempdir_in(desk.path("")).expect("a folder");
    let layout = target.path().join("layout");
    succeed(command.args(["--to", &format!("oci:{}", layout.display())]));
    Layout::read(&layout).digest().to_owned()
}

/// floe, started by a shell that changes what a process inherits.
fn surrounded(floe: &Command, shell: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell}; exec \"$0\" \"$@\"")]).arg(floe.get_program());
    command.args(floe.get_args());
    for (name, value) in floe.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(floe.get_current_dir().expect("floe is given a folder"));
    command
}

#[test]
fn small_images_have_known_digests() {
    let desk = Desk::new();
    let site = site(&desk, "here");
    let digests = ["zstd", "gzip", "none"].map(|compression| {
        let words = [&["build", &site, "--compression", compression], PINNED.as_slice()].concat();
        digest(&desk, &mut desk.floe(&words))
    });
    assert_eq!(digests, KNOWN_DIGESTS);
}

#[test]
fn nothing_around_a_small_build_shows_in_it() {
    let desk = Desk::new();
    let site = site(&desk, "here");
    let settings =
        ["--env", "B=2", "--env", "A=1", "--label", "y=2", "--label", "x=1", "--port", "80", "--port", "22"];
    let common = [&["build", &site], PINNED.as_slice()].concat();
    let build = |words: &[&str]| desk.floe(&[common.as_slice(), words].concat());
    let usual = digest(&desk, &mut build(&settings));
    assert_ne!(usual, digest(&desk, &mut build(&settings[..4])), "settings show");

    let shuffled =
        ["--port", "22", "--label", "x=1", "--env", "A=1", "--port", "80", "--label", "y=2", "--env", "B=2"];
    for (what, mut command) in [
        ("shuffled settings", build(&shuffled)),
        ("one thread", build(&[&["--threads", "1", "--no-memo"], settings.as_slice()].concat())),
        ("four threads", build(&[&["--threads", "4", "--no-memo"], settings.as_slice()].concat())),
        ("a closed umask", surrounded(&build(&settings), "umask 077")),
        ("an open umask", surrounded(&build(&settings), "umask 000")),
        ("a relative path from another folder", {
            let mut command = desk.floe(&[&["build", "./site"], PINNED.as_slice(), &settings].concat());
            command.current_dir(desk.path("here"));
            command
        }),
    ] {
        assert_eq!(digest(&desk, &mut command), usual, "{what}");
    }
    for (variable, value) in [
        ("TZ", "Pacific/Chatham"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("HOME", "/nonexistent"),
        ("USER", "somebody"),
        ("PATH", "/nonexistent"),
    ] {
        let fresh = Desk::new();
        let mut command = fresh.floe(&[common.as_slice(), settings.as_slice()].concat());
        assert_eq!(digest(&desk, command.env(variable, value)), usual, "{variable}={value}");
    }
}

#[test]
fn times_permissions_and_hard_links_of_a_directory_do_not_show() {
    let desk = Desk::new();
    let build = |path: &str| {
        let words = [&["build", path, "--no-memo"], PINNED.as_slice()].concat();
        digest(&desk, &mut desk.floe(&words))
    };
    let usual = build(&site(&desk, "here"));
    let other = site(&desk, "there");
    let at = |name: &str| Path::new(&other).join(name);
    std::fs::remove_file(at("copies/two")).expect("it was there");
    std::fs::hard_link(at("copies/one"), at("copies/two")).expect("a hard link");
    std::fs::set_permissions(at("index.html"), std::fs::Permissions::from_mode(0o600)).expect("a mode");
    std::fs::set_permissions(at("bin/site"), std::fs::Permissions::from_mode(0o700)).expect("a mode");
    succeed(Command::new("touch").args(["--date=2001-02-03", text(&at("empty"))]));
    assert_eq!(build(&other), usual);
    std::fs::set_permissions(at("empty"), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    assert_ne!(build(&other), usual, "what a NAR holds shows");
}

#[test]
fn nothing_around_the_build_of_a_closure_shows_in_it() {
    let path = node_server_path();
    let build = |desk: &Desk, words: &[&str]| {
        let common = ["build", &path, "--name", "node-server", "--tag", "1.0", "--port", "3000"];
        desk.floe(&[&common, words].concat())
    };
    let images = shared_images();
    for (usual, words) in [
        (images.zstd(), ["--compression", "zstd", "--threads", "1"]),
        (images.zstd(), ["--compression", "zstd", "--threads", "4"]),
        (images.gzip(), ["--compression", "gzip", "--threads", "4"]),
    ] {
        let desk = Desk::new();
        let mut command = surrounded(&build(&desk, &words), "umask 077");
        command.env("TZ", "Asia/Kathmandu").env("LC_ALL", "C").current_dir("/");
        assert_eq!(digest(&desk, &mut command), Layout::read(&usual).digest(), "{words:?}");
    }
}

#[test]
fn another_root_and_optimised_files_do_not_show() {
    let desk = Desk::new();
    let bash = crate::shared_images::package("bash");
    let usual = digest(&desk, &mut desk.floe(&["build", &bash]));
    let store = ChrootStore::new(&desk.path("root of a store"));
    store.copy(&bash);
    let words = ["build", &bash, "--no-memo", "--store", text(&store.root)];
    assert_eq!(digest(&desk, &mut desk.floe(&words)), usual, "the physical root");
    answer(store.command("nix-store").arg("--optimise"));
    let links = std::fs::read_dir(store.location("/nix/store/.links")).expect("Nix keeps the links there");
    assert!(links.count() > 10, "Nix has linked files");
    assert_eq!(digest(&desk, &mut desk.floe(&words)), usual, "hard links of an optimised store");
}

#[test]
fn plain_directories_get_the_store_path_that_nix_gives_them() {
    let desk = Desk::new();
    let site = site(&desk, "here");
    let store = ChrootStore::new(&desk.path("store"));
    let expected = store.add(Path::new(&site));
    let build = |desk: &Desk, to: &str| {
        desk.floe(&["build", &site, "--name", "site", "--compression", "none", "--to", &format!("oci:{to}")])
    };
    let nowhere = Desk::new();
    for (desk, mut command) in [
        (&desk, build(&desk, &desk.text("with"))),
        (&nowhere, {
            let mut command = build(&nowhere, &nowhere.text("with"));
            command.env("PATH", "/nonexistent").env("NIX_STATE_DIR", nowhere.path("no state"));
            command
        }),
    ] {
        succeed(&mut command);
        let layout = Layout::read(&desk.path("with"));
        layout.unpack(&desk.path("unpacked"));
        let unpacked = desk.path("unpacked").join(expected.trim_start_matches('/'));
        assert!(unpacked.is_dir(), "{}", unpacked.display());
        let dump = |path: &Path| run(nix_command("nix-store").arg("--dump").arg(path), 0).stdout;
        assert!(dump(&unpacked) == dump(Path::new(&site)), "the same bytes");
        assert_eq!(layout.config["config"]["Entrypoint"][0], format!("{expected}/bin/site"));
    }
}
