//! The memo: what is remembered comes back, what is damaged does not.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::layer::{Knowledge as _, Memo, MemoKey};
use crate::oci::Digest;

fn entry_files(directory: &Path) -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests look at all entries of one memo")]
    let entries = std::fs::read_dir(directory).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { entry_files(&path) } else { vec![path] }).collect()
}

fn memo() -> (tempfile::TempDir, Memo) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memo = Memo::open(folder.path().join("memo"));
    (folder, memo)
}

#[test]
fn layers_come_back() {
    let mut fixture = Fixture::new();
    small_tree(&mut fixture);
    let (layer, _) = fixture.pack(Compression::default(), 1);
    let (_folder, memo) = memo();
    let key = MemoKey::of(&fixture.contents(), Compression::default());
    assert_eq!(memo.layer(&key), None);
    memo.remember(&key, &layer).expect("a remembered layer");
    assert_eq!(memo.layer(&key), Some(layer));
}

#[test]
fn keys_tell_apart_all_that_the_bytes_depend_on() {
    let mut fixture = Fixture::new();
    small_tree(&mut fixture);
    let contents = fixture.contents();
    let LayerContents::StorePaths { store_dir, paths, .. } = contents.clone() else {
        panic!("store paths");
    };
    let owner = Owner { uid: 1, gid: 0 };
    let other_owner = LayerContents::StorePaths { store_dir: store_dir.clone(), paths: paths.clone(), owner };
    let mut swapped = paths;
    (swapped[0].nar_hash, swapped[1].nar_hash) = (swapped[1].nar_hash, swapped[0].nar_hash);
    let other_bytes = LayerContents::StorePaths { store_dir, paths: swapped, owner: Owner::default() };
    let mut keys: Vec<MemoKey> = EVERY_COMPRESSION
        .into_iter()
        .chain([Compression::Zstd(4), Compression::Gzip(7)])
        .map(|compression| MemoKey::of(&contents, compression))
        .chain([&other_owner, &other_bytes].map(|contents| MemoKey::of(contents, Compression::default())))
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 7);
    assert_eq!(MemoKey::of(&contents, Compression::Zstd(3)), MemoKey::of(&contents, Compression::Zstd(3)));
}

#[test]
fn damaged_entries_are_misses_and_are_written_anew() {
    let (folder, memo) = memo();
    let key = Digest::of(b"closure");
    memo.remember_fact("platform", key, "linux/amd64").expect("a remembered fact");
    let files = entry_files(folder.path());
    let [file] = files.as_slice() else { panic!("one file, not {files:?}") };
    let intact = std::fs::read(file).expect("an entry");
    let flipped = |at: usize| {
        let mut bytes = intact.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cut = (0..intact.len()).map(|size| intact[..size].to_vec());
    let longer = std::iter::once([&intact[..], b"\n"].concat());
    for damaged in cut.chain((0..intact.len()).map(flipped)).chain(longer) {
        std::fs::write(file, &damaged).expect("a damaged entry");
        assert_eq!(memo.fact("platform", key), None, "{}", String::from_utf8_lossy(&damaged));
    }
    let other = Digest::of(b"another closure");
    memo.remember_fact("platform", other, "linux/riscv64").expect("a remembered fact");
    let is_other = |path: &&std::path::PathBuf| *path != file;
    let files = entry_files(folder.path());
    let others: Vec<_> = files.iter().filter(is_other).collect();
    let [stranger] = others.as_slice() else { panic!("one more file, not {others:?}") };
    std::fs::rename(stranger, file).expect("an entry in the place of another");
    assert_eq!(memo.fact("platform", key), None, "an intact entry, but of something else");
    memo.remember_fact("platform", key, "linux/arm64").expect("a remembered fact");
    assert_eq!(memo.fact("platform", key).as_deref(), Some("linux/arm64"));
    assert_eq!(memo.fact("certificates", key), None);
    assert_eq!(entry_files(folder.path()).len(), 1, "nothing temporary is left");
}

#[test]
fn prunes_what_was_not_used() {
    let (folder, memo) = memo();
    assert_eq!(memo.prune(UNIX_EPOCH).expect("an empty memo").entries, 0);
    let (old, used) = (Digest::of(b"old"), Digest::of(b"used"));
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000);
    for key in [old, used] {
        memo.remember_fact("platform", key, "linux/amd64").expect("a remembered fact");
    }
    for file in entry_files(folder.path()) {
        std::fs::File::open(file).and_then(|file| file.set_modified(long_ago)).expect("a time");
    }
    assert!(memo.fact("platform", used).is_some());
    let since = long_ago + Duration::from_secs(1);
    let unused = memo.unused(since).expect("a memo");
    assert!(unused.entries == 1 && unused.size > 0, "{unused:?}");
    assert_eq!(memo.prune(since).expect("a pruned memo"), unused);
    assert_eq!(memo.unused(since).expect("a memo").entries, 0);
    assert_eq!(memo.fact("platform", old), None);
    assert!(memo.fact("platform", used).is_some());
}
