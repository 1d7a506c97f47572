//! What several layers come to (OCI image-spec v1.1, layer.md).

use super::{Image, Tar, path};
use crate::layer::Owner;
use crate::unpack::{NodeKind, ResolveError, TreePath, Xattr, read_files};

/// Layers, bottom first, and the paths that are left.
#[track_caller]
fn check(tars: impl IntoIterator<Item = Tar>, expected: &[&str]) {
    assert_eq!(Image::new(tars).listing(), expected);
}

#[test]
fn upper_layers_win_and_directories_are_joined() {
    check(
        [
            Tar::new()
                .directory("etc", 0o755)
                .file("etc/a", "1")
                .file("etc/b", "1")
                .symlink("bin", "usr/bin"),
            Tar::new().file("etc/b", "2").file("./etc/c", "2").file("/usr/bin/x", "2"),
        ],
        &["/bin -> usr/bin", "/etc/", "/etc/a", "/etc/b", "/etc/c", "/usr/", "/usr/bin/", "/usr/bin/x"],
    );
    // A file takes the place of a directory with all that is in it, and the other way round.
    check([Tar::new().file("a/b/c", ""), Tar::new().file("a", "")], &["/a"]);
    check([Tar::new().file("a", ""), Tar::new().directory("a", 0o755).file("a/b", "")], &["/a/", "/a/b"]);
}

#[test]
fn whiteouts_hide_lower_layers_alone() {
    let lower = || Tar::new().file("a/x", "").file("a/y", "").file("a-b", "").file("b", "");
    check([lower(), Tar::new().file(".wh.a", "")], &["/a-b", "/b"]);
    check([lower(), Tar::new().file("a/.wh.x", "")], &["/a/", "/a-b", "/a/y", "/b"]);
    // Wherever it stands in the tar, it does not touch its own layer.
    check([lower(), Tar::new().file("a/z", "").file(".wh.a", "")], &["/a/", "/a-b", "/a/z", "/b"]);
    check([lower(), Tar::new().file(".wh.a", "").file("a/z", "")], &["/a/", "/a-b", "/a/z", "/b"]);
    check([lower(), Tar::new().file("a/z", "").file("a/.wh..wh..opq", "")], &["/a/", "/a-b", "/a/z", "/b"]);
    check([lower(), Tar::new().file(".wh..wh..opq", "").file("z", "")], &["/z"]);
    // Nothing to hide is no fault; aufs' own files mean nothing.
    check(
        [lower(), Tar::new().file("c/.wh.d", "").file(".wh..wh.plnk/1.2", "").file(".wh..wh.aufs", "")],
        &["/a/", "/a-b", "/a/x", "/a/y", "/b"],
    );
    // What came back in a third layer stays.
    check(
        [lower(), Tar::new().file(".wh.b", ""), Tar::new().file("b", "")],
        &["/a/", "/a-b", "/a/x", "/a/y", "/b"],
    );
}

#[test]
fn no_entry_goes_through_a_symlink() {
    check(
        [
            Tar::new().directory("usr/bin", 0o755).symlink("bin", "usr/bin").file("usr/bin/sh", ""),
            Tar::new().file("bin/x", "").file("usr/.wh.none", ""),
        ],
        &["/bin/", "/bin/x", "/usr/", "/usr/bin/", "/usr/bin/sh"],
    );
    // A whiteout neither: it has nothing to hide behind the link, and the link stays.
    check(
        [Tar::new().symlink("bin", "usr/bin").file("usr/bin/sh", ""), Tar::new().file("bin/.wh.sh", "")],
        &["/bin -> usr/bin", "/usr/", "/usr/bin/", "/usr/bin/sh"],
    );
}

#[test]
fn hard_links_share_a_content_that_outlives_its_first_name() {
    let image = Image::new([
        Tar::new().file("a", "shared").hard_link("b", "a").hard_link("dir/c", "./b"),
        Tar::new().file("a", "other"),
    ]);
    let tree = image.tree().expect("a tree");
    let mut seen = Vec::new();
    read_files(&image.layers(), &tree, &[path("dir/c"), path("a"), path("b")], &mut |paths, content| {
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        seen.push((paths.join(" "), std::io::read_to_string(content)?));
        Ok(())
    })
    .expect("they can be read");
    assert_eq!(seen, [("/dir/c /b".to_owned(), "shared".to_owned()), ("/a".to_owned(), "other".to_owned())]);
}

#[test]
fn metadata_comes_from_the_header_and_its_extensions() {
    let long = format!("{}/{}", "d".repeat(120), "n".repeat(120));
    let image = Image::new([
        Tar::new().directory("tmp", 0o1777).file("tmp/x", "").directory("", 0o700),
        Tar::new()
            .pax(&[
                ("path", long.as_bytes()),
                ("uid", b"3000000"),
                ("gid", b"7"),
                ("mtime", b"12.5"),
                ("SCHILY.xattr.user.x", b"\0\n\xff"),
            ])
            .entry("short", b'0', "", 0o4755, b"x"),
    ]);
    let tree = image.tree().expect("a tree");
    assert_eq!(tree.node(&path("tmp")).map(|node| (node.mode, node.layer)), Some((0o1777, 0)));
    assert_eq!(tree.node(&TreePath::ROOT).map(|node| node.mode), Some(0o700));
    let node = tree.node(&path(&long)).expect("it has its long name");
    assert_eq!(
        (node.mode, node.owner, node.modified, node.layer),
        (0o4755, Owner { uid: 3_000_000, gid: 7 }, 12, 1)
    );
    assert_eq!(node.xattrs, [Xattr { name: b"user.x".to_vec(), value: b"\0\n\xff".to_vec() }]);
    assert!(matches!(node.kind, NodeKind::File { size: 1, .. }));
}

#[test]
fn symlinks_are_followed_within_the_image() {
    let image = Image::new([Tar::new()
        .directory("usr/bin", 0o755)
        .file("usr/bin/sh", "")
        .symlink("bin", "usr/bin")
        .symlink("usr/bin/up", "../../../../bin")
        .symlink("absolute", "/bin/sh")
        .symlink("circle", "./circle/x")
        .symlink("dangling", "/nowhere")]);
    let tree = image.tree().expect("a tree");
    for (from, expected) in [
        ("bin/sh", Some("/usr/bin/sh")),
        ("bin", Some("/usr/bin")),
        ("usr/bin/up/up/sh", Some("/usr/bin/sh")),
        ("absolute", Some("/usr/bin/sh")),
        ("", Some("/")),
        ("absolute/x", None),
        ("dangling", None),
        ("circle", None),
        ("none", None),
    ] {
        let resolved = tree.resolve(&path(from)).ok();
        assert_eq!(resolved.map(|path| path.to_string()).as_deref(), expected, "{from}");
    }
    assert!(matches!(tree.resolve(&path("circle")), Err(ResolveError::TooManyLinks(_))));
    assert!(matches!(tree.resolve(&path("absolute/x")), Err(ResolveError::NotADirectory(_))));
}
