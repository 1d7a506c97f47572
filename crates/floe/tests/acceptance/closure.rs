//! A closure that is not whole is refused: a clear error, exit code 1, and nothing where the image should be.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::layout::Layout;
use crate::program::{Desk, floe, run, succeed, text};
use crate::shared_images::{node_server_path, package};
use crate::store::ChrootStore;

/// A path that no store has.
const UNKNOWN: &str = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-unknown-1.0";

/// Builds to every kind of file, and to the record; all must say `expected` and write nothing.
fn refuses(contents: &[&str], expected: &[&str]) {
    let destinations = ["oci:new", "oci:old", "oci-archive:new.tar", "docker-archive:new.tar", "-", ""];
    let desk = Desk::new();
    let plain = desk.write("plain/file", "an image that is there already\n");
    let plain = text(plain.parent().expect("a folder")).to_owned();
    succeed(&mut desk.floe(&["build", &plain, "--to", "oci:old", "--to", "docker-archive:old.tar"]));
    let listing = |path: &Path| -> Vec<String> {
        let mut found: Vec<String> = walk(path);
        found.sort();
        found
    };
    let before = listing(&desk.path(""));
    for destination in destinations {
        let mut words = [&["build", "--name", "app"], contents].concat();
        if !destination.is_empty() {
            words.extend(["--to", destination]);
        }
        let refused = run(&mut desk.floe(&words), 1);
        for part in expected {
            assert!(refused.stderr.contains(part), "{words:?}: no '{part}' in {}", refused.stderr);
        }
        assert!(refused.stderr.contains("\nhint: "), "{words:?}: {}", refused.stderr);
        assert_eq!(refused.stdout, b"", "{words:?}");
        assert_eq!(listing(&desk.path("")), before, "{words:?}");
    }
    assert_eq!(run(&mut desk.floe(&["images", "--json"]), 0).stdout, b"", "none is recorded");
}

/// Every path below a folder, with the size of files.
fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let metadata = path.symlink_metadata().expect("it is there");
        found.push(format!("{} {}", path.display(), if metadata.is_dir() { 0 } else { metadata.len() }));
        if metadata.is_dir() {
            found.extend(walk(&path));
        }
    }
    found
}

/// A store below a temporary folder with one path, `app-1.0`, whose files are those of a small program.
struct Damaged {
    desk: Desk,
    store: ChrootStore,
    path: String,
}

impl Damaged {
    fn new() -> Self {
        let desk = Desk::new();
        desk.write("app-1.0/bin/app", "#!/bin/sh\n");
        desk.write("app-1.0/share/data", "data\n");
        let store = ChrootStore::new(&desk.path("store"));
        let path = store.add(&desk.path("app-1.0"));
        Self { desk, store, path }
    }

    /// The image can be built before the damage is done.
    fn is_whole(&self) {
        let words = ["build", &self.path, "--store", text(&self.store.root), "--to", "oci:whole"];
        succeed(&mut self.desk.floe(&words));
    }

    /// Where a file of the path lies, made writable.
    fn file(&self, name: &str) -> std::path::PathBuf {
        let file = self.store.location(&self.path).join(name);
        for path in
            [self.store.location(&self.path), file.parent().expect("a folder").to_owned(), file.clone()]
        {
            let mode = if path.is_dir() { 0o755 } else { 0o644 };
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
        }
        file
    }

    fn is_refused(&self, expected: &[&str]) {
        let base_name = self.path.rsplit('/').next().expect("a base name");
        refuses(&["--store", text(&self.store.root), &self.path], &[&[base_name], expected].concat());
    }
}

#[test]
fn an_invalid_path() {
    let expected = format!("error: {UNKNOWN} is not a valid store path");
    refuses(&[UNKNOWN], &[&expected]);
    refuses(&[&node_server_path(), UNKNOWN], &[&expected]);
}

#[test]
fn a_path_that_is_no_store_path() {
    let bash = package("bash");
    refuses(&[&format!("{bash}/bin/bash")], &["lies below a store path", &bash]);
    refuses(&["/nix/store"], &["/nix/store names no store path"]);
    refuses(&["/nix/store/README"], &["/nix/store/README names no store path"]);
    refuses(&["./nothing-here"], &["nothing-here does not exist"]);
    let desk = Desk::new();
    let empty = ChrootStore::new(&desk.path("empty"));
    empty.add(desk.write("a-file", "a store that has something else\n").as_path());
    let expected = format!("error: {bash} is not a valid store path");
    refuses(&["--store", text(&empty.root), &bash], &[&expected]);
}

#[test]
fn a_path_that_is_missing_on_disk() {
    let damaged = Damaged::new();
    damaged.is_whole();
    // It makes the folders writable.
    damaged.file("bin/app");
    std::fs::remove_dir_all(damaged.store.location(&damaged.path)).expect("it was there");
    damaged.is_refused(&["-app-1.0 is not there"]);
}

#[test]
fn a_file_that_is_missing() {
    let damaged = Damaged::new();
    std::fs::remove_file(damaged.file("share/data")).expect("it was there");
    damaged.is_refused(&["changed since Nix registered them: expected NAR hash sha256:"]);
}

#[test]
fn a_file_that_was_edited() {
    let damaged = Damaged::new();
    std::fs::write(damaged.file("share/data"), "DATA\n").expect("it is ours");
    damaged.is_refused(&["changed since Nix registered them: expected NAR hash sha256:"]);
}

#[test]
fn a_file_that_became_executable() {
    let damaged = Damaged::new();
    let file = damaged.file("share/data");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    damaged.is_refused(&["changed since Nix registered them: expected NAR hash sha256:"]);
}

#[test]
fn a_store_with_another_root_makes_the_right_image() {
    let desk = Desk::new();
    let bash = package("bash");
    let store = ChrootStore::new(&desk.path("root"));
    store.copy(&bash);
    let own = desk.path("own");
    let build = |words: &[&str]| {
        succeed(&mut floe(&own, &[&["build", &bash], words].concat()));
    };
    build(&["--store", text(&store.root), "--to", "oci:there"]);
    build(&["--to", "oci:here"]);
    let [there, here] = ["there", "here"].map(|name| Layout::read(&own.join("work").join(name)));
    assert_eq!(there.digest(), here.digest());
    there.unpack(&desk.path("unpacked"));
    let unpacked = desk.path("unpacked").join(bash.trim_start_matches('/')).join("bin/bash");
    let original = std::fs::read(format!("{bash}/bin/bash")).expect("bash is in this machine's store");
    assert!(std::fs::read(unpacked).expect("bash is in the image") == original);
}
