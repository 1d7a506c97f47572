//! Images are written down by hand: nothing is packed.

use std::collections::BTreeMap;

use floe_store::StoreDir;

use super::*;
use crate::image::ImageLayer;
use crate::layer::root_tree::{RootEntry, RootNode, RootTree};
use crate::layer::{Compression, Layer, LayerContents, Owner, StoreEntry};
use crate::oci::{Config, DiffId, MediaType, RootFs};

/// A layer of store paths: `<digit of the hash><name> <NAR size>`.
fn store_layer(paths: &[(&str, u64)]) -> ImageLayer {
    let entry = |(text, nar_size): &(&str, u64)| {
        let (digit, name) = text.split_at(1);
        let path = format!("{}-{name}", digit.repeat(32)).parse().expect("a store path");
        let nar_hash = format!("sha256:{}", Digest::of(text.as_bytes()).hex()).parse().expect("a hash");
        StoreEntry { path, nar_hash, nar_size: *nar_size }
    };
    let paths = paths.iter().map(entry).collect();
    layer(LayerContents::StorePaths { store_dir: StoreDir::default(), paths, owner: Owner::default() })
}

fn root_layer(files: &[(&str, &str)]) -> ImageLayer {
    let literal = |(path, text): &(&str, &str)| RootEntry {
        path: (*path).to_owned(),
        mode: 0o644,
        owner: Owner::default(),
        node: RootNode::File(text.as_bytes().to_owned()),
    };
    layer(LayerContents::Root(RootTree {
        literals: files.iter().map(literal).collect(),
        ..RootTree::default()
    }))
}

/// Blobs of 100 bytes whose digest follows from what they hold.
fn layer(contents: LayerContents) -> ImageLayer {
    let bytes = serde_json::to_vec(&contents).expect("JSON");
    let descriptor = Descriptor { size: 100, ..Descriptor::of(MediaType::LayerZstd, &bytes) };
    let diff_id = DiffId::new(Digest::of(&bytes));
    ImageLayer { contents, layer: Layer { descriptor, diff_id }, reason: "test".to_owned() }
}

fn image(layers: Vec<ImageLayer>, env: &[&str]) -> Image {
    let mut config = Config {
        created: None,
        author: None,
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        variant: None,
        config: Default::default(),
        rootfs: RootFs::layers(Vec::new()),
        history: Vec::new(),
        other: BTreeMap::new(),
    };
    config.config.env = env.iter().map(|variable| (*variable).to_owned()).collect();
    Image {
        base: Vec::new(),
        layers,
        config,
        annotations: BTreeMap::new(),
        compression: Compression::default(),
    }
}

#[test]
fn tells_what_became_of_each_package() {
    let before = image(
        vec![
            store_layer(&[("aglibc-2.36", 10), ("bglibc-2.36-bin", 2), ("copenssl-3.0.14", 5)]),
            store_layer(&[("dnodejs-18.20.4", 50), ("fzlib-1.2", 1), ("vtool", 1)]),
        ],
        &[],
    );
    let after = image(
        vec![
            store_layer(&[("aglibc-2.36", 10), ("bglibc-2.36-bin", 2), ("gopenssl-3.0.15", 6)]),
            store_layer(&[("hnodejs-18.20.4", 51), ("ihello-2.10", 3), ("xtool", 1)]),
        ],
        &[],
    );
    let difference = between(&before, &after);
    let shown = difference.packages.iter().map(|change| {
        let side = |versions: &Option<PackageVersions>| {
            versions.as_ref().map_or_else(String::new, |side| {
                format!("{} ({})", Vec::from_iter(side.versions.clone()).join(" "), side.nar_size)
            })
        };
        (change.name.as_str(), side(&change.before), side(&change.after), change.is_rebuilt())
    });
    let expected = [
        ("hello", "", "2.10 (3)", false),
        ("nodejs", "18.20.4 (50)", "18.20.4 (51)", true),
        ("openssl", "3.0.14 (5)", "3.0.15 (6)", false),
        ("tool", " (1)", " (1)", true),
        ("zlib", "1.2 (1)", "", false),
    ];
    let expected =
        expected.map(|(name, before, after, rebuilt)| (name, before.to_owned(), after.to_owned(), rebuilt));
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert_eq!((difference.before.nar_size, difference.after.nar_size), (69, 73));
    assert_eq!((difference.fetched.len(), difference.fetched_size()), (2, 200));
    assert!(!difference.is_empty());
}

#[test]
fn counts_only_layers_that_are_not_there_yet() {
    let shared = || store_layer(&[("aglibc-2.36", 10)]);
    let added = || store_layer(&[("bzlib-1.2", 1)]);
    let (small, large) = (image(vec![shared()], &[]), image(vec![shared(), added(), added()], &[]));
    assert_eq!(between(&small, &large).fetched_size(), 100, "the same blob is fetched once");
    assert_eq!(between(&large, &small).fetched_size(), 0);
    let same = between(&small, &small);
    assert!(same.is_empty() && same.packages.is_empty() && same.settings.is_empty());
}

#[test]
fn tells_settings_and_files_by_name() {
    let before = image(vec![root_layer(&[("etc/motd", "hello"), ("etc/gone", "")])], &["A=1", "B=2"]);
    let mut after =
        image(vec![root_layer(&[("etc/motd", "hello!"), ("etc/new", "")])], &["B=2", "C=3", "A=4"]);
    after.config.config.user = Some("1000:1000".to_owned());
    after.config.config.cmd = Some(vec!["a b".to_owned()]);
    after.compression = Compression::Gzip(6);
    let difference = between(&before, &after);
    let shown: Vec<String> = difference
        .settings
        .iter()
        .map(|SettingChange { name, before, after }| {
            let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            format!("{name}: {} / {}", side(before), side(after))
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    cmd: - / ["a b"]
    compression: zstd 3 / gzip 6
    env A: 1 / 4
    env C: - / 3
    file /etc/gone: 0 bytes, e3b0c44298fc, 0644 0:0 / -
    file /etc/motd: 5 bytes, 2cf24dba5fb0, 0644 0:0 / 6 bytes, ce06092fb948, 0644 0:0
    file /etc/new: - / 0 bytes, e3b0c44298fc, 0644 0:0
    user: - / 1000:1000
    "#);
}
