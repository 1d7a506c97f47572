//! What is refused: damage, bombs, too much of anything, kinds that nobody understands.

use std::error::Error;
use std::io::Write as _;

use super::{Image, Tar};
use crate::unpack::{Limits, MergedTree, ReadTreeError};

/// The whole message of the error, its reasons included.
fn message(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut reason = error.source();
    while let Some(error) = reason {
        message += &format!(": {error}");
        reason = error.source();
    }
    message
}

#[track_caller]
fn check_refused(image: &Image, limits: Limits, expected: &str) {
    let layers = crate::unpack::Layers { limits, ..image.layers() };
    let error = MergedTree::read(&layers).expect_err(expected);
    let message = message(&error);
    assert!(message.contains(expected), "{message}");
}

#[test]
fn refuses_what_it_does_not_understand() {
    for (tar, expected) in [
        (Tar::new().entry("a", b'S', "", 0o644, b""), "/a is sparse"),
        (Tar::new().entry("a", b'M', "", 0o644, b""), "unknown kind 'M'"),
        (Tar::new().pax(&[("GNU.sparse.major", b"1")]).file("a", ""), "sparse"),
        (Tar::new().pax(&[("size", b"many")]).file("a", ""), "'size' is no number"),
        (Tar::new().pax(&[("path", b"a")]), "an extension stands before no entry"),
        (Tar::new().symlink("a", ""), "the target of the symlink /a is empty"),
        (Tar::new().hard_link("a", "b"), "the hard link /a leads to /b"),
        (Tar::new().directory("b", 0o755).hard_link("a", "b"), "the hard link /a leads to /b"),
        (Tar::new().file("", ""), "the root is no directory"),
        (Tar::new().file(".wh.", ""), "a whiteout of nothing"),
    ] {
        check_refused(&Image::new([tar]), Limits::default(), expected);
    }
}

#[test]
fn refuses_damage() {
    let tar = Tar::new().file("a", &"x".repeat(2000)).finish();
    for (end, expected) in [(100, "cut off in a header"), (1000, "cut off in a file")] {
        let cut = tar[..end].to_vec();
        check_refused(&Image::default().layer(&cut.clone(), cut), Limits::default(), expected);
    }
    let mut broken = tar.clone();
    broken[0] = b'b';
    check_refused(&Image::default().layer(&broken.clone(), broken), Limits::default(), "no header");
    // Every byte is right, but they are those of another tar.
    check_refused(&Image::default().layer(b"another", tar.clone()), Limits::default(), "has the diff ID");
    let mut missing = Image::default().layer(&tar, tar.clone());
    missing.blobs.clear();
    check_refused(&missing, Limits::default(), "is not there");
}

#[test]
fn refuses_bombs_and_floods() {
    let limits = Limits { max_tar_size: 1 << 20, max_ratio: 10, max_entries: 100, max_name_bytes: 10_000 };
    let bomb = Tar::new().file("zeros", &"\0".repeat(4 << 20)).finish();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&bomb).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let zstd = zstd::bulk::compress(&bomb, 3).expect("memory");
    for blob in [gzip, zstd] {
        assert!(blob.len() < 10_000);
        check_refused(&Image::default().layer(&bomb, blob), limits, "out of all proportion");
    }

    let many = (0..101).fold(Tar::new(), |tar, number| tar.file(&number.to_string(), ""));
    check_refused(&Image::new([many]), limits, "more than 100 files");
    let halves =
        [0..51, 51..102].map(|range| range.fold(Tar::new(), |tar, number| tar.file(&number.to_string(), "")));
    check_refused(&Image::new(halves), limits, "more than 100 files");
    let deep = "d/".repeat(60) + "file";
    let deep_twice = Tar::new().pax(&[("path", deep.as_bytes())]).file("x", "");
    let twice = deep_twice.clone().pax(&[("path", format!("o/{deep}").as_bytes())]).file("x", "");
    check_refused(&Image::new([twice]), limits, "more than 100 files");
    let attributes = (0..20).fold(Tar::new(), |tar, number| {
        tar.pax(&[("SCHILY.xattr.user.x", &[b'x'; 900])]).file(&number.to_string(), "")
    });
    check_refused(&Image::new([attributes]), limits, "more than 10000 bytes of names");
}

proptest::proptest! {
    /// Any change of a byte is an error or another tree, and never a panic.
    #[test]
    fn never_panics(at in 0_usize..3000, byte: u8, repair: bool) {
        let tar = Tar::new()
            .pax(&[("path", b"long/name"), ("SCHILY.xattr.user.x", b"value")])
            .file("x", "content")
            .hard_link("y", "long/name")
            .symlink("z", "x")
            .entry("d", b'3', "", 0o644, b"");
        let mut bytes = tar.finish();
        let at = at % bytes.len();
        bytes[at] = byte;
        if repair {
            let header = at / 512 * 512;
            bytes[header + 148..header + 156].copy_from_slice(b"        ");
            let sum: u32 = bytes[header..header + 512].iter().map(|byte| u32::from(*byte)).sum();
            bytes[header + 148..header + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let image = Image::default().layer(&bytes.clone(), bytes);
        let _outcome: Result<MergedTree, ReadTreeError> = image.tree();
    }
}
