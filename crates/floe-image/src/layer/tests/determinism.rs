//! Equal contents give equal blobs, whatever else differs.

use super::*;

/// More than three zstd blocks, in files that lie across block borders.
fn large_tree(fixture: &mut Fixture) {
    let package = fixture.add("large-1.0");
    let bytes = noise(26 << 20);
    for (name, range) in
        [("a", 0..3), ("b", 3..10_000_000), ("c", 10_000_000..10_100_000), ("d", 10_100_000..bytes.len())]
    {
        write(&package.join(name), 0o644, &bytes[range]);
    }
    small_tree(fixture);
}

#[test]
fn does_not_depend_on_the_number_of_threads() {
    let mut fixture = Fixture::new();
    large_tree(&mut fixture);
    let contents = fixture.contents();
    for compression in [Compression::Zstd(1), Compression::Gzip(1), Compression::None] {
        let pack = |threads| pack(&contents, &fixture.trees(), compression, threads).expect("a packed layer");
        let one = pack(1);
        for threads in [2, 5] {
            assert_eq!(pack(threads), one, "{compression:?} with {threads} threads");
        }
    }
}

#[test]
fn a_packer_used_before_gives_the_same_bytes() {
    let (mut small, mut large) = (Fixture::new(), Fixture::new());
    small_tree(&mut small);
    large_tree(&mut large);
    for compression in [Compression::Zstd(1), Compression::Gzip(1), Compression::None] {
        let used = packer(compression, 2);
        let fixtures = [&large, &small].map(|fixture| (fixture.contents(), fixture.trees()));
        let pack = |(contents, trees): &(LayerContents, LocalTrees)| {
            let mut blob = Vec::new();
            let layer = used.pack(contents, trees, &(), &mut blob).expect("a packed layer");
            (layer, blob)
        };
        assert_eq!(fixtures.each_ref().map(pack), fixtures.each_ref().map(pack), "{compression:?}");
    }
}

#[test]
fn does_not_depend_on_what_nix_does_not_keep() {
    let names = ["z", "a.b", "a", "a-b", "B", "\u{e9}"];
    let tree = |shuffled: bool| {
        let mut fixture = Fixture::new();
        let package = fixture.add("tree");
        let mut names = names.to_vec();
        if shuffled {
            names.rotate_left(2);
            names.swap(0, 3);
        }
        for name in &names {
            let (file, twin) = (package.join(name).join("file"), package.join(name).join("twin"));
            write(&file, if shuffled { 0o444 } else { 0o660 }, b"same");
            if shuffled {
                std::fs::hard_link(&file, &twin).expect("a hard link");
            } else {
                write(&twin, 0o600, b"same");
            }
            let modified = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1 + u64::from(shuffled));
            std::fs::File::open(&file).and_then(|file| file.set_modified(modified)).expect("a time");
        }
        fixture
    };
    for compression in EVERY_COMPRESSION {
        assert_eq!(tree(false).pack(compression, 2), tree(true).pack(compression, 1), "{compression:?}");
    }
}
