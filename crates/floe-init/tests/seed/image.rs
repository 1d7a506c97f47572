//! Images to seed from: trees of random bytes under names of the store's form, with the registration that is true.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use floe_store::write::registration;
use floe_store::{PathInfo, StoreDir, StorePath, nar, nix32};
use sha2::{Digest as _, Sha256};

/// An image's root in a temporary folder.
pub(crate) struct Image {
    folder: tempfile::TempDir,
    pub(crate) infos: Vec<PathInfo>,
}

/// What an image holds.
pub(crate) struct Contents<'a> {
    /// The paths' names. The same name is the same path with the same bytes in every image.
    pub(crate) names: &'a [String],
    /// About how many bytes each path has.
    pub(crate) size: usize,
}

impl Image {
    /// Makes an image whose paths refer to themselves and to the one before; the last is the default profile.
    pub(crate) fn new(contents: &Contents<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = folder.path().join("nix/store");
        fs::create_dir_all(&store).expect("a folder");
        let mut infos: Vec<PathInfo> = Vec::new();
        for name in contents.names {
            let path = path(name);
            write_tree(&store.join(path.as_str()), name, contents.size);
            let (nar_hash, nar_size) = nar::hash_location(&store.join(path.as_str())).expect("a tree");
            let before = infos.last().map(|info| info.path.clone());
            let references: BTreeSet<StorePath> = before.into_iter().chain([path.clone()]).collect();
            infos.push(PathInfo {
                path,
                nar_hash,
                nar_size,
                references,
                deriver: None,
                content_address: None,
            });
        }
        let profiles = folder.path().join("nix/var/nix/profiles");
        fs::create_dir_all(&profiles).expect("a folder");
        let last = StoreDir::default().full_path(&infos.last().expect("a path").path);
        symlink(last, profiles.join("default-1-link")).expect("a link");
        symlink("default-1-link", profiles.join("default")).expect("a link");
        fs::create_dir(folder.path().join("floe")).expect("a folder");
        let text = registration::text(&StoreDir::default(), &infos);
        fs::write(folder.path().join("floe/registration"), text).expect("a file");
        open_to_all(folder.path());
        Self { folder, infos }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn location(&self, name: &str) -> PathBuf {
        self.root().join("nix/store").join(path(name).as_str())
    }
}

/// Names such as `a-0`, `a-1`, …
pub(crate) fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{prefix}-{index}")).collect()
}

/// A store path for a name; the hash part is made of the name.
pub(crate) fn path(name: &str) -> StorePath {
    let hash = nix32::encode(&Sha256::digest(name)[..20]);
    format!("{hash}-{name}").parse().expect("a well-formed path")
}

/// Some files, folders and links; some paths are a single file, as sources and scripts are.
fn write_tree(root: &Path, name: &str, size: usize) {
    if name.ends_with('7') {
        write(root, &bytes(name, size), 0o444);
        return;
    }
    fs::create_dir_all(root.join("share/empty")).expect("a folder");
    fs::create_dir(root.join("bin")).expect("a folder");
    write(&root.join("bin/run"), format!("#!/bin/sh\necho {name}\n").as_bytes(), 0o555);
    for part in 0..4 {
        write(&root.join(format!("share/part-{part}")), &bytes(&format!("{name} {part}"), size / 4), 0o444);
    }
    symlink("share/part-0", root.join("link")).expect("a link");
    symlink("nowhere", root.join("dangling")).expect("a link");
}

fn write(file: &Path, bytes: &[u8], mode: u32) {
    fs::write(file, bytes).expect("a file");
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Bytes that look random and are the same each time.
fn bytes(seed: &str, size: usize) -> Vec<u8> {
    let blocks = (0..size.div_ceil(32)).flat_map(|block| Sha256::digest(format!("{seed} {block}")));
    blocks.take(size).collect()
}

/// Temporary folders are their owner's alone; images are everybody's to read.
fn open_to_all(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("a mode");
}
