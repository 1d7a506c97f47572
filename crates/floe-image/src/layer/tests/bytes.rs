//! The bytes themselves: golden digests. They change only in a commit that says why, and then
//! `FORMAT_VERSION` or the compressor's name of [`crate::layer::MemoKey`] changes with them.

use super::*;
use crate::layer::root_tree::{RootEntry, RootNode, RootTree};
use crate::oci::{Digest, MediaType};

fn check(
    contents: &LayerContents,
    trees: &LocalTrees,
    compression: Compression,
    digest: &str,
    tar_size: usize,
) {
    let (layer, blob) = pack(contents, trees, compression, 2).expect("a packed layer");
    assert_eq!(layer.descriptor.digest, Digest::of(&blob));
    assert_eq!(layer.descriptor.size, blob.len() as u64);
    assert_eq!(layer.descriptor.media_type, compression.media_type());
    assert_eq!(layer.descriptor.digest.short().as_str(), digest, "{compression:?}");
    let (_, tar) = pack(contents, trees, Compression::None, 1).expect("a packed layer");
    assert_eq!((layer.diff_id.digest(), tar.len()), (Digest::of(&tar), tar_size));
}

#[test]
fn store_paths_have_golden_digests() {
    let mut fixture = Fixture::new();
    small_tree(&mut fixture);
    let contents = fixture.contents();
    check(&contents, &fixture.trees(), Compression::None, "2629bf19b174", 9216);
    check(&contents, &fixture.trees(), Compression::Zstd(3), "f35f5ff38583", 9216);
    check(&contents, &fixture.trees(), Compression::Gzip(6), "684ca6f81ac7", 9216);
}

#[test]
fn an_empty_layer_holds_the_store_directory() {
    let contents = LayerContents::StorePaths {
        store_dir: StoreDir::new("/gnu/store").expect("a store directory"),
        paths: Vec::new(),
        owner: Owner { uid: 1000, gid: 100 },
    };
    check(&contents, &LocalTrees::new("/"), Compression::None, "eab9c2d03d9b", 2048);
}

#[test]
fn root_trees_have_golden_digests() {
    let entry = |path: &str, mode, node| RootEntry {
        path: path.to_owned(),
        mode,
        owner: Owner { uid: 0, gid: 5 },
        node,
    };
    let tree = RootTree {
        literals: vec![
            entry("etc", 0o755, RootNode::Directory),
            entry("etc/passwd", 0o644, RootNode::File(b"root:x:0:0::/:/bin/sh\n".to_vec())),
            entry("tmp", 0o1777, RootNode::Directory),
            entry("usr", 0o777, RootNode::Symlink("nix/usr".to_owned())),
        ],
        ..RootTree::default()
    };
    check(&LayerContents::Root(tree), &LocalTrees::new("/"), Compression::None, "2199b9c2cfc8", 3584);
}

#[test]
fn an_uncompressed_blob_is_its_tar() {
    let mut fixture = Fixture::new();
    small_tree(&mut fixture);
    let (layer, _) = fixture.pack(Compression::None, 1);
    assert_eq!(layer.descriptor.digest, layer.diff_id.digest());
    assert_eq!(layer.descriptor.media_type, MediaType::LayerTar);
    for compression in EVERY_COMPRESSION {
        assert_eq!(fixture.pack(compression, 1).0.diff_id, layer.diff_id);
    }
}
