//! `floe doctor` on machines where something is wrong, each made wrong for the test.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use floe_testkit::registry::in_process::Registry;
use serde_json::Value;

use crate::disk::{NOBODY, SmallDisk};
use crate::house::{House, NODE_SERVER, text};

/// One finding as a line: `problem project: what`.
fn findings(house: &House, code: i32, change: impl FnOnce(&mut Command)) -> Vec<(String, Vec<String>)> {
    let mut doctor = house.floe(&["doctor", "--json"]);
    // Nobody's network is looked at, nor this machine's engines, unless the case says so.
    doctor.env("NIX_CONFIG", "substituters =\nexperimental-features = nix-command flakes");
    doctor.env("PATH", house.path("bin"));
    change(&mut doctor);
    let output = doctor.output().expect("floe runs");
    assert_eq!(output.status.code(), Some(code), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let lines = text(&output.stdout).replace(&house.path("").display().to_string(), "$DIR/");
    let read = |line: &str| {
        let finding: Value = serde_json::from_str(line).expect("JSON");
        let word = |key: &str| finding[key].as_str().expect("text").to_owned();
        let fixes = finding["fixes"].as_array().expect("a list").iter();
        let fixes: Vec<String> = fixes.map(|fix| fix.as_str().expect("text").to_owned()).collect();
        assert_eq!(fixes.is_empty(), word("state") == "ok", "whatever is wrong has a fix: {line}");
        (format!("{} {}: {}", word("state"), word("area"), word("what")), fixes)
    };
    lines.lines().map(read).collect()
}

/// A folder of programs: those that are named, as this machine has them.
fn programs(house: &House, names: &[&str]) {
    fs::create_dir_all(house.path("bin")).expect("a folder");
    for name in names {
        let found = floe_testkit::service::program::find(name);
        let found = found.unwrap_or_else(|error| panic!("{error}"));
        symlink(found, house.path("bin").join(name)).expect("a link");
    }
}

/// A program that says something and ends so.
fn script(house: &House, name: &str, body: &str) {
    let path = house.path("bin").join(name);
    fs::create_dir_all(house.path("bin")).expect("a folder");
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("a program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
}

/// Expects one finding that begins so, and a fix of it that holds these words.
#[track_caller]
fn expect(findings: &[(String, Vec<String>)], what: &str, fix: &str) {
    let found = findings.iter().find(|(line, _)| line.starts_with(what));
    let (_, fixes) = found.unwrap_or_else(|| panic!("no '{what}' in {findings:#?}"));
    assert!(fix.is_empty() || fixes.iter().any(|said| said.contains(fix)), "{what}: {fixes:?}");
}

#[test]
fn says_so_when_all_is_well() {
    let house = House::new();
    programs(&house, &["nix", "podman"]);
    let node = NODE_SERVER.display().to_string();
    symlink(&*NODE_SERVER, house.path("result")).expect("a link");
    house.build(&[&node, "--name", "app"]);
    fs::write(house.path("floe.toml"), "[image.app]\ncontents = ['./result']\n").expect("a file");
    let found = findings(&house, 0, |_| {});
    for what in [
        "ok nix: Nix 2.",
        "ok nix: the database /nix/var/nix/db/db.sqlite can be read",
        "ok nix: flakes are switched on",
        "ok engines: podman 4.",
        "ok record: 1 recorded image can be packed",
        "ok project: floe.toml is well-formed: app",
    ] {
        expect(&found, what, "");
    }
    assert!(found.iter().all(|(line, _)| !line.starts_with("problem")), "{found:?}");
}

#[test]
fn without_nix_and_engines() {
    let house = House::new();
    programs(&house, &[]);
    let found = findings(&house, 0, |doctor| {
        doctor.args(["--store", "nowhere"]);
    });
    expect(&found, "warning nix: nix is not installed", "nixos.org");
    expect(&found, "warning nix: there is no store", "--store");
    expect(&found, "warning engines: no engine can run images", "podman");
    expect(&found, "ok record: no image is recorded", "");
}

#[test]
fn nix_that_is_old_or_closed() {
    let house = House::new();
    script(
        &house,
        "nix",
        "case $1 in --version) echo nix '(Nix)' 2.3.16;; *) [ $# -gt 2 ] && printf 'substituters = file:///no/cache http://127.0.0.1:1/x\\n';; esac",
    );
    let root = house.path("root/nix/var/nix/db");
    fs::create_dir_all(&root).expect("a folder");
    fs::write(root.join("db.sqlite"), "this is no database, and it is long enough").expect("a file");
    let found = findings(&house, 1, |doctor| {
        doctor.args(["--store", "root"]);
    });
    expect(&found, "problem nix: Nix 2.3.16 is older than 2.8", "nixos.org");
    expect(&found, "problem nix: cannot query root/nix/var/nix/db/db.sqlite", "nix-daemon");
    expect(
        &found,
        "warning nix: experimental features are off: flakes, nix-command",
        "experimental-features =",
    );
    expect(&found, "warning nix: the cache file:///no/cache is not there", "substituters");
    expect(&found, "warning nix: the cache http://127.0.0.1:1/x does not answer", "network");
}

#[test]
fn a_database_that_this_user_may_not_read() {
    let house = House::new();
    programs(&house, &["nix"]);
    let root = house.path("root/nix/var/nix/db");
    fs::create_dir_all(&root).expect("a folder");
    fs::write(root.join("db.sqlite"), "").expect("a file");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).expect("the folder is ours");
    let own = house.path("own");
    fs::create_dir(&own).expect("a folder");
    chown(&own, Some(NOBODY), Some(NOBODY)).expect("tests run as root");
    let found = findings(&house, 1, |doctor| {
        doctor.args(["--store", "root"]).uid(NOBODY).gid(NOBODY);
        doctor.env("HOME", &own).env("XDG_DATA_HOME", house.path("closed")).env("XDG_CACHE_HOME", &own);
    });
    expect(&found, "problem nix: cannot read root/nix/var/nix/db/db.sqlite: Permission denied", "chmod a+rX");
    expect(&found, "problem disk: the record $DIR/closed/floe cannot be written: Permission denied", "chown");
    expect(&found, "ok disk: ", "");
}

#[test]
fn engines_that_do_not_work() {
    let house = House::new();
    script(
        &house,
        "podman",
        "case $1 in --version) echo podman version 4.3.1;; *) echo 'cannot find newuidmap' >&2; exit 125;; esac",
    );
    script(
        &house,
        "docker",
        "echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1",
    );
    script(&house, "ctr", "echo 'cannot connect' >&2; exit 1");
    let found = findings(&house, 0, |doctor| {
        doctor.args(["--store", "nowhere"]);
    });
    expect(&found, "warning engines: podman is installed and does not work: 'podman info' failed", "subuid");
    expect(&found, "warning engines: docker is installed and does not work", "usermod -aG docker");
    expect(
        &found,
        "warning engines: containerd is installed and does not work",
        "systemctl start containerd",
    );
    expect(&found, "warning engines: no engine can run images", "");
}

#[test]
fn disks_that_are_full() {
    let house = House::new();
    programs(&house, &[]);
    let disk = SmallDisk::mount(house.path("small"), 8);
    let found = findings(&house, 1, |doctor| {
        doctor.env("XDG_CACHE_HOME", disk.path()).args(["--store", "nowhere"]);
    });
    expect(&found, "problem disk: 8.39 MB free for the cache in $DIR/small/floe", "XDG_CACHE_HOME");
    let homeless = findings(&house, 1, |doctor| {
        doctor.env_remove("HOME").env_remove("XDG_DATA_HOME").args(["--store", "nowhere"]);
    });
    expect(&homeless, "problem disk: neither XDG_DATA_HOME nor HOME", "set XDG_DATA_HOME");
}

#[test]
fn projects_that_cannot_run() {
    let house = House::new();
    programs(&house, &[]);
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let file = format!(
        "[image.app]\ncontents = ['./result', './page']\nports = [{port}]\n\
         required-env = ['TOKEN', 'GIVEN', 'WRITTEN', 'BUILT_IN']\n[image.app.env]\nBUILT_IN = '1'\n"
    );
    fs::create_dir(house.path("page")).expect("a folder");
    fs::write(house.path("floe.toml"), file).expect("a file");
    fs::write(house.path(".env"), "WRITTEN=1\n").expect("a file");
    let found = findings(&house, 1, |doctor| {
        doctor.env("GIVEN", "1").args(["--store", "nowhere"]);
    });
    expect(&found, "problem project: image app: $DIR/result does not exist", "nix build");
    expect(
        &found,
        "warning project: image app: variables that it requires are not set: TOKEN",
        "--env-file .env",
    );
    let in_use = format!("warning project: image app: port {port} of this machine is in use");
    expect(&found, &in_use, &format!("--publish {}:{port}", u32::from(port) + 1));

    fs::write(house.path("floe.toml"), "[image.app]\nentrypiont = ['/x']\n").expect("a file");
    let malformed = findings(&house, 1, |doctor| {
        doctor.args(["--store", "nowhere"]);
    });
    expect(&malformed, "problem project: floe.toml:2:1: unknown key", "entrypoint");
}

#[test]
fn records_whose_store_paths_are_gone() {
    let house = House::new();
    programs(&house, &[]);
    let page = house.path("page");
    fs::create_dir(&page).and_then(|()| fs::write(page.join("index.html"), "hello")).expect("a page");
    house.build(&["./page", "--name", "site"]);
    fs::remove_dir_all(&page).expect("the page");
    let damaged = house.path("data/floe/images/other");
    fs::create_dir_all(&damaged)
        .and_then(|()| fs::write(damaged.join("_history.json"), "{"))
        .expect("a file");
    let found = findings(&house, 1, |doctor| {
        doctor.args(["--store", "nowhere"]);
    });
    expect(
        &found,
        "problem record: site@1 cannot be packed: $DIR/page is not there any more",
        "floe remove site@1",
    );
    expect(
        &found,
        "problem record: '$DIR/data/floe/images/other/_history.json' is malformed",
        "floe remove other",
    );
    let removed = house.floe(&["remove", "other"]).output().expect("floe runs");
    assert!(removed.status.success(), "the fix works: {}", text(&removed.stderr));
    assert!(!Path::new(&damaged).exists());
}

#[test]
fn registries_that_are_away_or_lack_the_image() {
    let house = House::new();
    programs(&house, &[]);
    let registry = Registry::start().expect("a registry");
    let host = registry.host();
    let found = findings(&house, 1, |doctor| {
        doctor.args(["--store", "nowhere", "--insecure", &format!("{host}/team/app:1.0"), "127.0.0.1:1/app"]);
    });
    expect(&found, &format!("problem registries: {host}/team/app:1.0 is not there"), "is the name right?");
    expect(&found, "problem registries: cannot read '127.0.0.1:1/app:latest'", "reached");
    let file = format!("[image.app]\nname = '{host}/team/app'\ncontents = ['/']\n");
    fs::write(house.path("floe.toml"), file).expect("a file");
    let later = findings(&house, 0, |doctor| {
        doctor.args(["--store", "nowhere", "--insecure"]);
    });
    expect(&later, &format!("warning registries: {host}/team/app:latest is not there"), "");
}
