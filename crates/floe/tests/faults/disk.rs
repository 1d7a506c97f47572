//! Disks and files that fail: what is damaged is made again or refused by name, and never becomes an image.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use floe_testkit::machine::{nix_command, run, run_for_output};

use crate::house::{
    House, NODE_SERVER, Numbers, archive_files, check_images, files_and_directories, layout_files, name_of,
    only_image, plain_directory, text,
};

/// A user who is not root and owns nothing.
pub(crate) const NOBODY: u32 = 65534;

/// A file system of a few mebibytes; dropping it unmounts it.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(path: PathBuf, mebibytes: u32) -> Self {
        fs::create_dir_all(&path).expect("a mount point");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "floe-test"]).arg(&path);
        run(&mut mount).unwrap_or_else(|error| panic!("tests run as root, to mount: {error:?}"));
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A failed unmount shows itself: the temporary directory cannot be removed.
        let _outcome = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_named_and_left_empty() {
    let house = House::new();
    let disk = SmallDisk::mount(house.path("full"), 8);
    for destination in ["oci:full/layout", "oci-archive:full/app.tar", "docker-archive:full/app.tar"] {
        let (code, error) =
            house.failure(&["build", "--quiet", &NODE_SERVER.display().to_string(), "--to", destination]);
        assert_eq!(code, 1, "{destination}: {error}");
        let path = if destination.starts_with("oci:") { "full/layout" } else { "full" };
        assert!(error.contains(path), "{destination}: {error}");
        assert!(error.contains("No space left on device"), "{destination}: {error}");
        assert!(error.contains("\nhint: make room there"), "{destination}: {error}");
        assert_eq!(files_and_directories(&disk.0), Vec::<PathBuf>::new(), "{destination}");
    }
}

#[test]
fn a_full_disk_keeps_the_image_that_was_there() {
    let house = House::new();
    let disk = SmallDisk::mount(house.path("full"), 8);
    plain_directory(&house.path("small"), 3, 4096, 1);
    let node = NODE_SERVER.display().to_string();
    for (destination, place) in
        [("oci:full/layout", "full/layout"), ("docker-archive:full/app.tar", "full/app.tar")]
    {
        let digest = house.build(&["small", "--to", destination]);
        assert_eq!(house.failure(&["build", "--quiet", &node, "--to", destination]).0, 1);
        let place = house.path(place);
        let files = if place.is_dir() { layout_files(&place) } else { archive_files(&place) };
        assert_eq!(only_image(&files), digest);
        assert_eq!(house.leftovers(), Vec::<PathBuf>::new());
    }
    drop(disk);
}

#[test]
fn a_full_cache_records_nothing() {
    let house = House::new();
    let disk = SmallDisk::mount(house.path("cache"), 8);
    let node = NODE_SERVER.display().to_string();
    let (code, error) = house.failure(&["build", "--quiet", &node]);
    assert_eq!((code, error.contains("$DIR/cache/floe")), (1, true), "{error}");
    assert_eq!(house.leftovers(), Vec::<PathBuf>::new());
    let images = house.floe(&["images", "--json"]).output().expect("floe runs");
    assert!(!text(&images.stdout).contains("node-server"));
    drop(disk);
    // The same house with room.
    house.build(&[&node]);
}

#[test]
fn an_unreadable_path_is_named() {
    let house = House::new();
    let readable = house.path("app");
    plain_directory(&readable, 2, 100, 1);
    let secret = readable.join("secret");
    fs::write(&secret, "secret").expect("a file");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("it is ours");
    for directory in ["cache", "data", "out"] {
        fs::create_dir(house.path(directory)).expect("a directory");
        chown(house.path(directory), Some(NOBODY), Some(NOBODY)).expect("tests run as root");
    }
    let nobody = |words: &[&str]| {
        let mut floe = house.floe(words);
        house.outcome(floe.uid(NOBODY).gid(NOBODY))
    };
    for destination in ["oci:out/layout", "docker-archive:out/app.tar"] {
        let (code, error) = nobody(&["build", "--quiet", "app", "--to", destination]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("app/secret") && error.contains("\nhint: "), "{error}");
        assert_eq!(files_and_directories(&house.path("out")), Vec::<PathBuf>::new());
    }
    fs::remove_file(&secret).expect("it is ours");
    let (code, error) = nobody(&["build", "--quiet", "app", "--to", "oci:/floe-of-nobody"]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("/floe-of-nobody") && error.contains("\nhint: name a place"), "{error}");
}

/// A store path of this test alone; dropping it deletes it from the store.
struct Added(PathBuf);

impl Added {
    fn new(directory: &Path) -> Self {
        let path = run_for_output(nix_command("nix-store").arg("--add").arg(directory));
        Self(PathBuf::from(path.unwrap_or_else(|error| panic!("{error:?}")).trim()))
    }
}

impl Drop for Added {
    fn drop(&mut self) {
        let mut delete = nix_command("nix-store");
        // A path that stays costs some bytes until Nix collects it.
        let _outcome = delete.args(["--delete", "--ignore-liveness"]).arg(&self.0).output();
    }
}

#[test]
fn a_store_path_that_changed_or_vanished_is_refused() {
    let house = House::new();
    plain_directory(&house.path("floe-fault"), 3, 4096, u64::from(std::process::id()));
    let added = Added::new(&house.path("floe-fault"));
    let (path, file) = (added.0.display().to_string(), added.0.join("file-1"));
    let layers_of_memo = house.cache().join("memo/layer");
    let refuse = |expected: &str| {
        let (code, error) = house.failure(&["build", "--quiet", &path, "--to", "oci:layout"]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains(name_of(&added.0)) && error.contains(expected), "{error}");
        assert!(error.contains("\nhint: "), "{error}");
        assert!(!house.path("layout").exists());
        let layers =
            house.memo_entries().into_iter().filter(|path| path.starts_with(&layers_of_memo)).count();
        assert!(layers <= 1, "the root's layer alone may be remembered, not {layers}");
    };
    let bytes = fs::read(&file).expect("a file");
    let mut damaged = bytes.clone();
    damaged[17] ^= 1;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("tests run as root");
    fs::write(&file, damaged).expect("tests run as root");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).expect("tests run as root");
    refuse("sha256");
    fs::remove_file(&file).expect("tests run as root");
    refuse("sha256");
    fs::rename(&added.0, house.path("elsewhere")).expect("tests run as root, in one file system");
    refuse("is not there");
}

/// What becomes of an entry of the memo, given it and the next one.
type Damage = fn(&[u8], &[u8]) -> Vec<u8>;

#[test]
fn a_damaged_memo_is_written_anew() {
    let house = House::new();
    plain_directory(&house.path("small"), 10, 10_000, 5);
    let words = |to: &'static str| {
        [NODE_SERVER.display().to_string(), "small".to_owned(), "--to".to_owned(), to.to_owned()]
    };
    let digest = house.build(&words("oci:layout"));
    let read_all = || -> Vec<(PathBuf, Vec<u8>)> {
        house
            .memo_entries()
            .into_iter()
            .map(|path| (path.clone(), fs::read(path).expect("an entry")))
            .collect()
    };
    let intact = read_all();
    assert!(intact.len() > 10, "a layer each, and the system");
    // Each damage takes an entry and the next one.
    let damages: [(&str, Damage); 5] = [
        ("emptied", |_, _| Vec::new()),
        ("cut", |entry, _| entry[..entry.len() / 2].to_vec()),
        ("garbage", |entry, _| entry.iter().map(|byte| byte ^ 0x5a).collect()),
        ("flipped", |entry, _| {
            let mut entry = entry.to_vec();
            let middle = entry.len() / 3;
            entry[middle] ^= 1;
            entry
        }),
        ("another's", |_, next| next.to_vec()),
    ];
    for (damage, make) in damages {
        for (index, (path, entry)) in intact.iter().enumerate() {
            let next = &intact[(index + 1) % intact.len()].1;
            fs::write(path, make(entry, next)).expect("a damaged entry");
        }
        // The layout that has every layer, where a wrong entry could be believed.
        assert_eq!(house.build(&words("oci:layout")), digest, "{damage}");
        assert_eq!(only_image(&layout_files(&house.path("layout"))), digest, "{damage}");
        assert_eq!(read_all(), intact, "{damage}: every entry is as it was");
    }
    // An entry that is a directory can be neither read nor written.
    let (path, _) = &intact[0];
    fs::remove_file(path).and_then(|()| fs::create_dir(path)).expect("a directory");
    assert_eq!(house.build(&words("oci:other")), digest);
    assert_eq!(only_image(&layout_files(&house.path("other"))), digest);
}

#[test]
fn a_damaged_blob_of_the_cache_is_packed_again() {
    let house = House::new();
    let node = NODE_SERVER.display().to_string();
    let digest = house.build(&[node.as_str(), "--name", "app"]);
    let blobs: Vec<PathBuf> = files_and_directories(&house.cache().join("blobs"));
    let blobs: Vec<&PathBuf> = blobs.iter().filter(|blob| name_of(blob).len() == 64).collect();
    assert!(blobs.len() > 10);
    let mut numbers = Numbers(7);
    let damage = |numbers: &mut Numbers| {
        for blob in blobs.iter().filter(|blob| blob.exists()) {
            let mut bytes = fs::read(blob).expect("a blob");
            let at = usize::try_from(numbers.below(bytes.len() as u64)).expect("it fits into memory");
            bytes[at] ^= 1 << numbers.below(8);
            if numbers.below(4) == 0 {
                bytes.truncate(at);
            }
            fs::write(blob, bytes).expect("the blob is ours");
        }
    };
    damage(&mut numbers);
    let export = |to: &str| {
        let output = house.floe(&["export", "app", to]).output().expect("floe runs");
        assert!(output.status.success(), "{to}: {}", text(&output.stderr));
    };
    export("oci:layout");
    assert_eq!(only_image(&layout_files(&house.path("layout"))), digest);
    assert_eq!(house.build(&[node.as_str(), "--name", "app"]), digest);
    damage(&mut numbers);
    export("oci-archive:app.tar");
    assert_eq!(only_image(&archive_files(&house.path("app.tar"))), digest);
    // All of it gone.
    fs::remove_dir_all(house.cache()).expect("the cache is ours");
    export("oci:again");
    assert_eq!(only_image(&layout_files(&house.path("again"))), digest);
}

#[test]
fn builds_into_one_layout_at_once_all_land() {
    let house = House::new();
    let names = ["one", "two", "three"];
    for (seed, name) in names.iter().enumerate() {
        plain_directory(&house.path(name), 5, 3000, seed as u64);
    }
    let start = |name: &str, tag: &str| -> Child {
        let mut floe = house.floe(&["build", "--quiet", name, "--tag", tag, "--to", "oci:layout"]);
        floe.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("floe starts")
    };
    let finish = |child: Child| {
        let output = child.wait_with_output().expect("floe ends");
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    let digests: Vec<String> = names
        .iter()
        .map(|name| house.build(&[*name, "--tag", name, "--to", format!("oci:alone-{name}").as_str()]))
        .collect();
    for round in 0..15 {
        if round % 3 == 0 {
            // Sometimes none of them has a memo.
            fs::remove_dir_all(house.path("cache")).expect("the cache is ours");
        }
        names.map(|name| start(name, name)).into_iter().for_each(finish);
        let images = check_images(&layout_files(&house.path("layout")));
        let expected = names.iter().map(|name| (*name).to_owned()).zip(digests.iter().cloned());
        assert_eq!(images, expected.collect(), "round {round}");
        // Of those that want the same tag, one wins.
        names.map(|name| start(name, "same")).into_iter().for_each(finish);
        let images = check_images(&layout_files(&house.path("layout")));
        assert!(images.len() == 4 && images.contains_key("same"), "{images:?}");
        assert_eq!(house.leftovers(), Vec::<PathBuf>::new());
        fs::remove_dir_all(house.path("layout")).expect("the layout is ours");
    }
}
