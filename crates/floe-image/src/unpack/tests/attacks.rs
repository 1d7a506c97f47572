//! Layers that try to write, delete or change something outside the destination (CVE-2018-15664, CVE-2019-14271 and
//! their like): each ends in an error or in a tree that stays where it belongs.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::{Image, Tar, names};
use crate::unpack::{ExtractConfig, MergedTree, TreePath, extract};

/// Everything that is kept, so that nothing is left out of the attack.
const EVERYTHING: ExtractConfig = ExtractConfig { owners: false, setuid: true, devices: false, xattrs: true };

/// What lies around the destination, as names, modes, owners, contents and link targets.
fn picture(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = path.symlink_metadata().expect("it is there");
        let content = if metadata.is_file() { std::fs::read_to_string(&path).ok() } else { None };
        let (mode, links) = (metadata.mode(), if metadata.is_dir() { 0 } else { metadata.nlink() });
        lines.push(format!("{} {mode:o} {links} {content:?}", path.display()));
        if metadata.is_dir() {
            let children = names(&path).into_iter().map(|name| path.join(name));
            pending.extend(children.filter(|child| !child.ends_with("victim/out")));
        }
    }
    lines.sort();
    lines
}

/// A name, its layers, and whether they are refused; a layer's entries are name, kind, and target or content.
type Attack = (&'static str, &'static [&'static [HostileEntry]], bool);
type HostileEntry = (&'static str, u8, &'static str);

/// Extracts hostile layers into a directory of a folder whose other things must not change. Absolute names in them
/// that begin with `@` stand for that folder.
fn attack((name, layers, is_refused): &Attack) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let victim = folder.path().join("victim");
    std::fs::create_dir_all(victim.join("secret")).expect("folders");
    std::fs::write(victim.join("passwd"), "root").expect("a file");
    std::fs::write(victim.join("secret/key"), "key").expect("a file");
    std::fs::set_permissions(victim.join("secret"), std::fs::Permissions::from_mode(0o700)).expect("ours");
    let before = picture(folder.path());

    let here = |text: &str| text.replacen('@', victim.to_str().expect("UTF-8"), 1);
    let tar = |entries: &&[HostileEntry]| {
        entries.iter().fold(Tar::new(), |tar, (name, kind, target)| match kind {
            b'0' => tar.entry(&here(name), b'0', "", 0o6777, target.as_bytes()),
            kind => tar.entry(&here(name), *kind, &here(target), 0o6777, b""),
        })
    };
    let image = Image::new(layers.iter().map(tar));
    let outcome = MergedTree::read(&image.layers()).map_err(|error| error.to_string()).and_then(|tree| {
        extract(&image.layers(), &tree, &TreePath::ROOT, &victim.join("out"), EVERYTHING)
            .map_err(|error| error.to_string())
    });
    assert_eq!(outcome.is_err(), *is_refused, "{name}: {outcome:?}");
    assert_eq!(picture(folder.path()), before, "{name}");
    if *is_refused {
        assert!(!victim.join("out").exists(), "{name}");
    }
}

#[test]
fn nothing_is_written_deleted_or_changed_outside() {
    let attacks: &[Attack] = &[
        ("dots in a name", &[&[("../passwd", b'0', "evil")]], true),
        ("dots within a name", &[&[("a/../../passwd", b'0', "evil")]], true),
        ("dots at the end of a directory", &[&[("a/..", b'5', "")]], true),
        ("a directory of dots", &[&[("..", b'5', "")]], true),
        ("an absolute name", &[&[("@/passwd", b'0', "evil")]], false),
        ("an absolute name of two slashes", &[&[("//@/passwd", b'0', "evil")]], false),
        ("a file through an absolute symlink", &[&[("l", b'2', "@"), ("l/passwd", b'0', "evil")]], false),
        ("a file through a relative symlink", &[&[("l", b'2', ".."), ("l/passwd", b'0', "evil")]], false),
        (
            "a file through a deeper symlink",
            &[&[("a/l", b'2', "../.."), ("a/l/passwd", b'0', "evil")]],
            false,
        ),
        (
            "a file through a chain",
            &[&[("a", b'2', ".."), ("b", b'2', "a"), ("b/passwd", b'0', "evil")]],
            false,
        ),
        ("a file onto a symlink", &[&[("l", b'2', "../passwd"), ("l", b'0', "evil")]], false),
        (
            "a symlink of a later layer",
            &[&[("d", b'5', "")], &[("d", b'2', "..")], &[("d/passwd", b'0', "evil")]],
            false,
        ),
        ("a directory onto a symlink", &[&[("l", b'2', "../secret")], &[("l", b'5', "")]], false),
        ("a mode through a symlink", &[&[("l", b'2', ".."), ("l/secret", b'5', "")]], false),
        ("a hard link by dots", &[&[("l", b'1', "../passwd")]], true),
        ("an absolute hard link", &[&[("l", b'1', "@/passwd")]], true),
        (
            "a hard link through a symlink",
            &[&[("l", b'2', ".."), ("h", b'1', "l/passwd"), ("h", b'0', "evil")]],
            true,
        ),
        (
            "a hard link to a symlink",
            &[&[("l", b'2', "../passwd"), ("h", b'1', "l"), ("h", b'0', "evil")]],
            false,
        ),
        (
            "a write through a hard link to a symlink",
            &[&[("l", b'2', ".."), ("h", b'1', "l"), ("h/passwd", b'0', "evil")]],
            false,
        ),
        ("a whiteout of dots", &[&[(".wh...", b'0', "")]], true),
        ("a whiteout of a dot", &[&[(".wh..", b'0', "")]], true),
        ("a whiteout below dots", &[&[("../.wh.passwd", b'0', "")]], true),
        ("a whiteout through a symlink", &[&[("l", b'2', "..")], &[("l/.wh.passwd", b'0', "")]], false),
        ("an absolute whiteout", &[&[("@/.wh.passwd", b'0', "")]], false),
        (
            "an opaque directory through a symlink",
            &[&[("l", b'2', "../secret")], &[("l/.wh..wh..opq", b'0', "")]],
            false,
        ),
        ("an opaque root", &[&[(".wh..wh..opq", b'0', "")]], false),
        ("an opaque directory of dots", &[&[("../secret/.wh..wh..opq", b'0', "")]], true),
        ("a whiteout that is a directory", &[&[(".wh.d", b'5', ""), (".wh.d/x", b'0', "")]], true),
        ("a whiteout that is a symlink", &[&[(".wh.x", b'2', "../passwd")]], false),
        ("a hard link to a whiteout", &[&[("l", b'1', ".wh.x")]], true),
        ("a whiteout of a whiteout", &[&[(".wh..wh.x", b'0', "")], &[("x", b'0', "")]], false),
        ("a device", &[&[("sda", b'4', "")]], false),
        (
            "names that differ in case",
            &[&[("D", b'2', ".."), ("d/passwd", b'0', "fine"), ("PASSWD", b'0', "fine")]],
            false,
        ),
    ];
    attacks.iter().for_each(attack);
}
