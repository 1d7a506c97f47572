//! Volumes that were never seeded, and second starts.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;

use crate::image::{Contents, Image, names, path};
use crate::volume::{Volume, succeed};

/// Users that containers run as: root, the user `code`, and an arbitrary one in group 0, as OpenShift has.
const USERS: [(u32, u32); 3] = [(0, 0), (1001, 1001), (4242, 0)];

#[test]
fn seeds_for_any_user() {
    let names = names("a", 12);
    let image = Image::new(&Contents { names: &names, size: 20_000 });
    for (uid, gid) in USERS {
        let volume = Volume::new();
        chown(volume.root(), Some(uid), Some(gid)).expect("root");
        // What mkfs leaves is root's, and nobody else's to look at.
        fs::create_dir(volume.root().join("lost+found")).expect("a folder");
        fs::set_permissions(volume.root().join("lost+found"), fs::Permissions::from_mode(0o700))
            .expect("a mode");
        let seed = || succeed(volume.seeder(&image).uid(uid).gid(gid));
        let said = seed();
        assert!(said.contains("with 12 store paths"), "{said}");
        volume.check_seeded(&image, uid, gid);
        assert_eq!(volume.check(), 12);

        let metadata = |path: &str| fs::symlink_metadata(volume.root().join(path)).expect(path);
        for (name, mode) in [
            ("nix/store", 0o755),
            ("nix/var/nix/profiles/per-user", 0o755),
            ("nix/var/nix/profiles/per-user/code", 0o755),
            ("nix/var/nix/db/schema", 0o644),
            ("home/code", 0o755),
        ] {
            let metadata = metadata(name);
            assert_eq!((metadata.mode() & 0o7777, metadata.uid()), (mode, uid), "{name}");
        }
        let store_path = format!("nix/store/{}", path("a-1"));
        for (name, mode) in
            [("", 0o555), ("/bin/run", 0o555), ("/share/part-2", 0o444), ("/share/empty", 0o555)]
        {
            let metadata = metadata(&format!("{store_path}{name}"));
            assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (mode, 1), "{name}");
        }
        let profile = volume.nix().join("var/nix/profiles/default");
        let generation = fs::read_link(&profile).expect("a profile");
        assert_eq!(generation.to_str(), Some("default-1-link"));

        let said = seed();
        assert!(said.contains("with 0 store paths") && said.contains("12 were there"), "{said}");
        assert_eq!(fs::read_link(&profile).expect("a profile"), generation);
        volume.check_seeded(&image, uid, gid);
    }
}

#[test]
fn garbage_collection_keeps_what_is_seeded() {
    let image = Image::new(&Contents { names: &names("a", 5), size: 1_000 });
    let volume = Volume::new();
    volume.seed(&image);
    volume.nix_store_as(0, 0, &["--gc"]);
    volume.check_seeded(&image, 0, 0);
}

#[test]
fn replaces_what_is_there_and_not_valid() {
    let image = Image::new(&Contents { names: &names("a", 4), size: 1_000 });
    let volume = Volume::new();
    // What `cp -a` left when it was stopped, and a tree that is whole but for its modes.
    let half = volume.store().join(path("a-1").as_str());
    fs::create_dir_all(half.join("bin")).expect("a folder");
    fs::write(half.join("bin/run"), "half").expect("a file");
    fs::write(volume.store().join(path("a-2").as_str()), "another kind of node").expect("a file");
    volume.seed(&image);
    volume.check_seeded(&image, 0, 0);
}

#[test]
fn brings_back_what_is_valid_and_not_there() {
    let image = Image::new(&Contents { names: &names("a", 4), size: 1_000 });
    let volume = Volume::new();
    volume.seed(&image);
    fs::remove_dir_all(volume.store().join(path("a-2").as_str())).expect("a folder");
    let said = volume.seed(&image);
    assert!(said.contains("with 1 store paths"), "{said}");
    volume.check_seeded(&image, 0, 0);
}

#[test]
fn keeps_a_ballast() {
    let image = Image::new(&Contents { names: &names("a", 1), size: 1_000 });
    let volume = Volume::new();
    succeed(volume.seeder(&image).args(["--ballast", "1M"]));
    let ballast = fs::metadata(volume.nix().join(".floe/ballast")).expect("a ballast");
    assert_eq!(ballast.size(), 1 << 20);
    assert!(ballast.blocks() * 512 >= 1 << 20);
}
