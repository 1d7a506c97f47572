//! What packing promises, checked through the front door: trees of files come in, blobs are looked at.

mod bytes;
mod determinism;
mod failures;
mod readers;
mod remembering;

use std::num::NonZeroUsize;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use floe_store::tree::LocalTrees;
use floe_store::{StoreDir, StorePath, nar};

use super::{Compression, Layer, LayerContents, Owner, PackError, Packer, StoreEntry};

const EVERY_COMPRESSION: [Compression; 3] = [Compression::Zstd(3), Compression::Gzip(6), Compression::None];

/// Store paths in a temporary folder.
struct Fixture {
    folder: tempfile::TempDir,
    paths: Vec<StorePath>,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), paths: Vec::new() }
    }

    /// A store path that is still to be made; paths are numbered in the order of the calls.
    fn add(&mut self, name: &str) -> PathBuf {
        let path: StorePath =
            format!("{:032}-{name}", self.paths.len()).parse().expect("a well-formed store path");
        let location = self.folder.path().join(path.as_str());
        self.paths.push(path);
        location
    }

    fn trees(&self) -> LocalTrees {
        LocalTrees::new(self.folder.path())
    }

    /// All paths as one layer, registered as they are now.
    fn contents(&self) -> LayerContents {
        let entry = |path: &StorePath| {
            let (nar_hash, nar_size) = nar::hash_tree(&self.trees(), path).expect("a readable tree");
            StoreEntry { path: path.clone(), nar_hash, nar_size }
        };
        LayerContents::StorePaths {
            store_dir: StoreDir::default(),
            paths: self.paths.iter().map(entry).collect(),
            owner: Owner::default(),
        }
    }

    fn pack(&self, compression: Compression, threads: usize) -> (Layer, Vec<u8>) {
        pack(&self.contents(), &self.trees(), compression, threads).expect("a packed layer")
    }
}

fn pack(
    contents: &LayerContents,
    trees: &LocalTrees,
    compression: Compression,
    threads: usize,
) -> Result<(Layer, Vec<u8>), PackError> {
    let mut blob = Vec::new();
    let layer = packer(compression, threads).pack(contents, trees, &(), &mut blob)?;
    Ok((layer, blob))
}

fn packer(compression: Compression, threads: usize) -> Packer {
    let threads = NonZeroUsize::new(threads).expect("at least one thread");
    Packer::new(compression, threads).expect("a supported level")
}

/// A package with every kind of node.
fn small_tree(fixture: &mut Fixture) {
    let package = fixture.add("hello-1.0");
    write(&package.join("bin/hello"), 0o755, b"#!/bin/sh\necho hello\n");
    write(&package.join("share/doc/README"), 0o644, b"Say hello.\n");
    std::fs::create_dir_all(package.join("var/empty")).expect("a folder");
    symlink("bin/hello", package.join("hello")).expect("a symlink");
    write(&fixture.add("config.json"), 0o600, b"{}");
    symlink("hello-1.0", fixture.add("current")).expect("a symlink");
}

fn write(path: &Path, mode: u32, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, bytes).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
}

/// Bytes that compress to about a half and do not repeat (xorshift, Marsaglia 2003).
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8 & 0x0f) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}
