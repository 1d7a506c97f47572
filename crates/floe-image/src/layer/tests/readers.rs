//! Other programs read what was packed: GNU tar, the `tar` crate, `flate2` and `zstd`.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use super::*;

/// Everything that tar has two ways for: names and targets around their limits, sizes around a record.
fn awkward_tree(fixture: &mut Fixture) {
    let package = fixture.add("awkward");
    let base = format!("nix/store/{}/", fixture.paths[0]).len();
    for size in [0, 1, 511, 512, 513, 16 * 1024 - 1, 16 * 1024, 128 * 1024 + 1] {
        write(&package.join(format!("size-{size}")), 0o644, &noise(size));
    }
    for length in [99, 100, 101, 255] {
        write(&package.join("x".repeat(length - base)), 0o755, b"long");
        std::fs::create_dir_all(package.join("y".repeat(length - base - 1))).expect("a folder");
    }
    let deep: PathBuf = std::iter::repeat_n("d".repeat(90), 5).collect();
    write(&package.join(&deep).join("file"), 0o644, b"deep");
    write(&package.join("p".repeat(150 - base)).join("q".repeat(100)), 0o644, b"just fits");
    write(&package.join(OsStr::from_bytes(b"not-\xff-utf8")), 0o644, b"raw");
    write(&package.join(OsStr::from_bytes(&[b"\xfe".as_slice(), &[b'n'; 120]].concat())), 0o644, b"raw");
    for length in [99, 100, 101, 1000] {
        symlink("t".repeat(length), package.join(format!("to-{length}"))).expect("a symlink");
    }
    symlink("/etc/new\nline", package.join("new\nline")).expect("a symlink");
}

fn decompress(compression: Compression, blob: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    match compression {
        Compression::Zstd(_) => {
            zstd::Decoder::new(blob).and_then(|mut decoder| decoder.read_to_end(&mut tar))
        }
        Compression::Gzip(_) => flate2::read::MultiGzDecoder::new(blob).read_to_end(&mut tar),
        Compression::None => std::io::copy(&mut &blob[..], &mut tar).map(|_| tar.len()),
    }
    .expect("a readable blob");
    tar
}

#[test]
fn decompressors_give_the_tar() {
    let mut fixture = Fixture::new();
    small_tree(&mut fixture);
    write(&fixture.add("large"), 0o644, &noise(9 << 20));
    let (_, tar) = fixture.pack(Compression::None, 1);
    for compression in EVERY_COMPRESSION {
        assert!(decompress(compression, &fixture.pack(compression, 2).1) == tar, "{compression:?}");
    }
}

#[test]
fn gnu_tar_gives_the_trees_again() {
    let mut fixture = Fixture::new();
    small_tree(&mut fixture);
    let mut awkward = Fixture::new();
    awkward_tree(&mut awkward);
    for fixture in [fixture, awkward] {
        let (_, tar) = fixture.pack(Compression::None, 1);
        let extracted = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new("tar")
            .args(["--extract", "--delay-directory-restore", "--directory"])
            .arg(extracted.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("GNU tar is installed");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), &tar).expect("an open pipe");
        assert!(child.wait().expect("GNU tar ends").success());
        let trees = LocalTrees::new(extracted.path().join("nix/store"));
        for path in &fixture.paths {
            let original = nar::hash_tree(&fixture.trees(), path).expect("a readable tree");
            assert_eq!(nar::hash_tree(&trees, path).expect("an extracted tree"), original, "{path}");
        }
    }
}

#[test]
fn headers_say_what_nix_keeps() {
    let mut fixture = Fixture::new();
    small_tree(&mut fixture);
    let (_, tar) = fixture.pack(Compression::None, 1);
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut lines = Vec::new();
    for entry in archive.entries().expect("a tar") {
        let entry = entry.expect("an entry");
        let header = entry.header();
        assert_eq!(header.mtime().expect("a time"), 1);
        assert_eq!((header.uid().expect("a user"), header.gid().expect("a group")), (0, 0));
        assert_eq!((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])));
        let target = entry.link_name().expect("a target").map(|target| format!(" -> {}", target.display()));
        let (mode, path) = (header.mode().expect("a mode"), entry.path().expect("a path"));
        lines.push(format!("{mode:o} {}{}", path.display(), target.unwrap_or_default()));
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    755 nix/
    755 nix/store/
    555 nix/store/00000000000000000000000000000000-hello-1.0/
    555 nix/store/00000000000000000000000000000000-hello-1.0/bin/
    555 nix/store/00000000000000000000000000000000-hello-1.0/bin/hello
    777 nix/store/00000000000000000000000000000000-hello-1.0/hello -> bin/hello
    555 nix/store/00000000000000000000000000000000-hello-1.0/share/
    555 nix/store/00000000000000000000000000000000-hello-1.0/share/doc/
    444 nix/store/00000000000000000000000000000000-hello-1.0/share/doc/README
    555 nix/store/00000000000000000000000000000000-hello-1.0/var/
    555 nix/store/00000000000000000000000000000000-hello-1.0/var/empty/
    444 nix/store/00000000000000000000000000000001-config.json
    777 nix/store/00000000000000000000000000000002-current -> hello-1.0
    ");
}

#[test]
fn rare_names_cost_a_pax_header_and_others_none() {
    let mut fixture = Fixture::new();
    awkward_tree(&mut fixture);
    let (_, tar) = fixture.pack(Compression::None, 1);
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut extended = 0;
    for entry in archive.entries().expect("a tar").raw(true) {
        let kind = entry.expect("an entry").header().entry_type();
        extended += usize::from(kind.is_pax_local_extensions());
    }
    // The names of 255 bytes of a file and a folder; three of five deep folders and the file in them;
    // the 121 raw bytes; two long targets. The header's prefix holds what else is long.
    assert_eq!(extended, 2 + 4 + 1 + 2);
}
