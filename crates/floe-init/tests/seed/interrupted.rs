//! Seeds that are stopped, that wait for each other, and that meet Nix's garbage collector.

use std::fs;
use std::process::Stdio;

use floe_testkit::machine::nix_command;
use rustix::process::Signal;

use crate::image::{Contents, Image, names, path};
use crate::volume::{Volume, eventually, fail, pause, signal, succeed};

/// Enough for a moment in which a seed is half done.
fn large() -> Image {
    Image::new(&Contents { names: &names("a", 14), size: 1_500_000 })
}

/// The store paths in a volume, whatever the database says.
fn present(volume: &Volume) -> usize {
    // Locks, and Nix's own folder of links.
    let is_other = |name: &str| name.ends_with(".lock") || name.starts_with('.');
    let names = fs::read_dir(volume.store()).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| !is_other(&name.to_string_lossy())).count()
}

#[test]
fn goes_on_after_sigterm() {
    let image = large();
    let volume = Volume::new();
    let seeder = volume.seeder(&image).args(["--threads", "1"]).spawn().expect("a program that starts");
    eventually("the first paths", || present(&volume) > 2);
    signal(&seeder, Signal::TERM);
    let output = seeder.wait_with_output().expect("a child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(143), "{said}");
    assert!(said.contains("stopped by signal 15 while seeding; the next start goes on from here"), "{said}");
    assert_eq!(volume.check(), 0);

    // What was copied is taken as it is: its inode stays.
    let inode = |name: &str| {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(volume.store().join(path(name).as_str())).map(|metadata| metadata.ino()).ok()
    };
    let kept: Vec<_> = names("a", 14).into_iter().filter_map(|name| Some((inode(&name)?, name))).collect();
    assert!((1..14).contains(&kept.len()), "{}", kept.len());
    volume.seed(&image);
    volume.check_seeded(&image, 0, 0);
    for (before, name) in kept {
        assert_eq!(inode(&name), Some(before), "{name} was copied again");
    }
}

#[test]
fn a_second_seeder_waits_for_the_first() {
    let image = large();
    let volume = Volume::new();
    let first = volume.seeder(&image).spawn().expect("a program that starts");
    eventually("the first path", || present(&volume) > 0);
    pause(&first);
    let (code, said) = fail(volume.seeder(&image).args(["--timeout", "100ms"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("waiting for another seeder"), "{said}");
    assert!(said.contains("seed.lock is still locked by another seeder"), "{said}");
    let second = volume.seeder(&image).spawn().expect("a program that starts");
    signal(&first, Signal::CONT);
    for seeder in [first, second] {
        let output = seeder.wait_with_output().expect("a child");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    volume.check_seeded(&image, 0, 0);
}

#[test]
fn a_garbage_collection_waits_and_deletes_nothing() {
    let image = large();
    let volume = Volume::new();
    // A store that Nix knows, so that its collector has something to open.
    volume.seed(&Image::new(&Contents { names: &names("b", 1), size: 1_000 }));
    let seeder = volume.seeder(&image).args(["--threads", "1"]).spawn().expect("a program that starts");
    eventually("the first paths", || present(&volume) > 3);
    pause(&seeder);
    let before = present(&volume);
    let mut collector = nix_command("nix-store");
    collector.arg("--store").arg(volume.root()).arg("--gc").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut collector = collector.spawn().expect("nix-store: `cargo xtask install` installs it");
    // Its file of temporary roots is open when it has come to the lock.
    eventually("the collector", || {
        fs::read_dir(format!("/proc/{}/fd", collector.id()))
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|file| file.ends_with("nix/var/nix/gc.lock")))
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(collector.try_wait().expect("a child"), None, "the collector did not wait");
    assert_eq!(present(&volume), before);
    signal(&seeder, Signal::CONT);
    let output = seeder.wait_with_output().expect("a child");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(collector.wait().expect("a child").success());
    volume.check_seeded(&image, 0, 0);
}

#[test]
fn waits_for_a_running_garbage_collection() {
    let image = Image::new(&Contents { names: &names("a", 2), size: 1_000 });
    let volume = Volume::new();
    volume.seed(&image);
    let lock = fs::File::options().write(true).open(volume.nix().join("var/nix/gc.lock")).expect("a lock");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("a lock");
    let (code, said) = fail(volume.seeder(&image).args(["--timeout", "50ms"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("waiting for a running garbage collection"), "{said}");
    drop(lock);
    succeed(&mut volume.seeder(&image));
}
