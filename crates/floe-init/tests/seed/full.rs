//! Volumes without room: known before, and found out midway.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::image::{Contents, Image, names};
use crate::volume::{Volume, eventually, fail, pause, signal};

#[test]
fn refuses_before_it_copies() {
    let image = Image::new(&Contents { names: &names("a", 10), size: 400_000 });
    for (options, expected) in [
        ("size=10m", "free: expected at least"),
        ("size=64m,nr_inodes=300", "free inodes: expected at least"),
    ] {
        let volume = Volume::in_memory(options);
        let (code, said) = fail(&mut volume.seeder(&image));
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains(expected) && said.contains("hint: use a larger volume"), "{said}");
        assert_eq!(fs::read_dir(volume.store()).expect("a folder").count(), 0);
        assert_eq!(volume.check(), 0);
    }
}

/// Takes the room away while a seed stands still half-way, gives it back, and seeds again.
fn fill_midway(options: &str, fill: fn(PathBuf)) {
    let image = Image::new(&Contents { names: &names("a", 12), size: 1_000_000 });
    let volume = Volume::in_memory(options);
    let filler = volume.root().join("filler");
    fs::create_dir(&filler).expect("a folder");
    let seeder = volume.seeder(&image).args(["--threads", "1"]).spawn().expect("a program that starts");
    eventually("the first copy", || {
        fs::read_dir(volume.nix().join(".floe/tmp")).is_ok_and(|copies| copies.count() > 0)
    });
    pause(&seeder);
    fill(filler.clone());
    signal(&seeder, Signal::CONT);
    let output = seeder.wait_with_output().expect("a child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("hint: the volume filled up while it was seeded"), "{said}");
    fs::remove_dir_all(&filler).expect("a folder");
    assert_eq!(volume.check(), 0);
    volume.seed(&image);
    volume.check_seeded(&image, 0, 0);
}

#[test]
fn survives_a_disk_that_fills_up() {
    fill_midway("size=40m", |filler| {
        // The file ends where the room does.
        fs::write(filler.join("bytes"), vec![0; 40 << 20]).expect_err("no room");
    });
}

#[test]
fn survives_a_lack_of_inodes() {
    fill_midway("size=40m,nr_inodes=1000", |filler| {
        let taken =
            (0..1000).take_while(|index| fs::write(filler.join(index.to_string()), "").is_ok()).count();
        assert!(taken < 1000);
    });
}
