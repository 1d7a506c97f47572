//! Trees as files below a directory.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{Image, Tar, names, path};
use crate::unpack::{ExtractConfig, ExtractError, Extracted, TreePath, extract};

fn image() -> Image {
    Image::new([
        Tar::new()
            .directory("etc", 0o750)
            .file("etc/old", "old")
            .file("etc/kept", "kept")
            .hard_link("etc/linked", "etc/kept")
            .symlink("etc/link", "/etc/kept")
            .entry("su", b'0', "", 0o4755, b"#!")
            .entry("dev/null", b'3', "", 0o666, b"")
            .entry("pipe", b'6', "", 0o600, b""),
        Tar::new().file("etc/.wh.old", "").directory("closed", 0o000).file("closed/file", "inside"),
    ])
}

fn extract_to(
    image: &Image,
    from: &TreePath,
    to: &Path,
    config: ExtractConfig,
) -> Result<Extracted, ExtractError> {
    extract(&image.layers(), &image.tree().expect("a tree"), from, to, config)
}

fn status(path: &Path) -> (u32, i64) {
    let metadata = path.symlink_metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (metadata.mode() & 0o7777, metadata.mtime())
}

#[test]
fn writes_the_final_tree() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("out");
    let extracted =
        extract_to(&image(), &TreePath::ROOT, &to, ExtractConfig::default()).expect("it is written");
    assert_eq!(extracted, Extracted { nodes: 9, bytes: 12, devices_left_out: 1 });
    assert_eq!(std::fs::read_to_string(to.join("etc/kept")).expect("a file"), "kept");
    assert!(!to.join("etc/old").exists());
    assert_eq!(status(&to.join("etc")), (0o750, 1));
    assert_eq!(status(&to.join("closed")), (0o000, 1));
    assert_eq!(status(&to.join("su")), (0o755, 1), "without set-user-ID");
    assert_eq!(std::fs::read_link(to.join("etc/link")).expect("a link"), Path::new("/etc/kept"));
    let inode = |name: &str| to.join(name).symlink_metadata().expect("a file").ino();
    assert_eq!(inode("etc/kept"), inode("etc/linked"));
    assert_eq!(names(folder.path()), ["out"], "no staging directory is left");
}

#[test]
fn writes_a_part_of_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("etc");
    std::fs::create_dir(&to).expect("an empty directory is fine");
    extract_to(&image(), &path("etc"), &to, ExtractConfig::default()).expect("it is written");
    assert_eq!(std::fs::read_to_string(to.join("linked")).expect("a file"), "kept");
    let to = folder.path().join("one");
    extract_to(&image(), &path("closed/file"), &to, ExtractConfig::default()).expect("it is written");
    assert_eq!(std::fs::read_to_string(to.join("file")).expect("a file"), "inside");
}

#[test]
fn keeps_what_is_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("out");
    let config = ExtractConfig { setuid: true, ..ExtractConfig::default() };
    extract_to(&image(), &TreePath::ROOT, &to, config).expect("it is written");
    assert_eq!(status(&to.join("su")).0, 0o4755);
}

#[test]
fn leaves_what_is_there_and_nothing_half_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let occupied = folder.path().join("occupied");
    std::fs::create_dir(&occupied).expect("a folder");
    std::fs::write(occupied.join("mine"), "mine").expect("a file");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&occupied, &link).expect("a link");
    for to in [&occupied, &occupied.join("mine"), &link] {
        let outcome = extract_to(&image(), &TreePath::ROOT, to, ExtractConfig::default());
        assert!(matches!(outcome, Err(ExtractError::Occupied(_))), "{}", to.display());
    }
    let image = image();
    let tree = image.tree().expect("a tree");
    // The second layer's bytes are gone when they are needed.
    let mut damaged = image;
    damaged.blobs.remove(&damaged.layers[1].descriptor.digest);
    let to = folder.path().join("out");
    let outcome = extract(&damaged.layers(), &tree, &TreePath::ROOT, &to, ExtractConfig::default());
    assert!(matches!(outcome, Err(ExtractError::Layer(_))));
    let outcome = extract(&damaged.layers(), &tree, &path("none"), &to, ExtractConfig::default());
    assert!(matches!(outcome, Err(ExtractError::Missing(_))));
    assert_eq!(names(folder.path()), ["link", "occupied"]);
}
