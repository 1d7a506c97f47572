//! An image's store paths, unpacked by other programs, are byte for byte what Nix registered.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use floe_store::NarHash;
use floe_store::nar::hash_location;

use crate::layout::Layout;
use crate::program::{Desk, answer, program, succeed, text};
use crate::shared_images::{node_server_path, shared_images};
use crate::store::{dumped_hash, registered_hashes};

/// How many paths are also hashed by Nix itself.
const SECOND_OPINIONS: usize = 4;

/// Compares an unpacked root file system with Nix's registration of the closure.
fn check(root: &Path) {
    let registered = registered_hashes(&node_server_path());
    assert!(registered.len() > 10, "a real closure: {registered:?}");
    for (index, (path, hash)) in registered.iter().enumerate() {
        let location = root.join(path.trim_start_matches('/'));
        let (unpacked, _) = hash_location(&location).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(&unpacked.to_string(), hash, "{path}");
        if index < SECOND_OPINIONS {
            let expected: NarHash = hash.parse().expect("Nix's own form");
            let digits: String = expected.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(dumped_hash(&location), digits, "{path}");
        }
    }
    let entries = std::fs::read_dir(root.join("nix/store")).expect("the image has a store");
    let unpacked: BTreeSet<String> = entries
        .map(|entry| format!("/nix/store/{}", entry.expect("an entry").file_name().display()))
        .collect();
    let expected: BTreeSet<String> = registered.into_iter().map(|(path, _)| path).collect();
    assert_eq!(unpacked, expected, "the image holds the closure and nothing else");
    check_metadata(&root.join("nix/store"));
}

/// What a NAR does not hold is what Nix gives every path of a store: root's, unwritable, one second after 1970.
fn check_metadata(directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("a folder") {
        let path = entry.expect("an entry").path();
        let metadata = path.symlink_metadata().expect("it is there");
        let (kind, mode) = (metadata.file_type(), metadata.mode() & 0o7777);
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mtime()), (0, 0, 1), "{}", path.display());
        assert!(kind.is_symlink() || mode == 0o555 || mode == 0o444, "{}: {mode:o}", path.display());
        if kind.is_dir() {
            assert_eq!(mode, 0o555, "{}", path.display());
            check_metadata(&path);
        }
    }
}

#[test]
fn umoci_unpacks_gzip_to_what_nix_registered() {
    let version = answer(&mut program("umoci", &["--version"]));
    assert!(version.contains("0.4.7"), "Debian 12's umoci is wanted: {version}");
    let desk = Desk::new();
    let image = format!("{}:1.0", shared_images().gzip().display());
    let bundle = desk.path("bundle");
    std::fs::create_dir_all(desk.path("")).expect("a folder");
    succeed(&mut program("umoci", &["unpack", "--image", &image, text(&bundle)]));
    check(&bundle.join("rootfs"));
}

#[test]
fn tar_unpacks_zstd_to_what_nix_registered() {
    program("zstd", &[]);
    let desk = Desk::new();
    let layout = Layout::read(&shared_images().zstd());
    for layer in layout.layers() {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    }
    layout.unpack(&desk.path("root"));
    check(&desk.path("root"));
}
