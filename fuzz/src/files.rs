//! Images in files that came from elsewhere: archives, and layouts.

use std::fs;
use std::io;
use std::path::Path;

use floe_destination::{Archive, Documents, OciLayout};
use floe_image::BlobSource;
use floe_image::oci::{Index, Platform};

/// An archive in memory's file system where there is one: thousands are written in a run.
pub(crate) fn archive(bytes: &[u8]) {
    let directory = directory();
    let path = directory.path().join("image.tar");
    fs::write(&path, bytes).expect("a writable directory");
    if let Ok(archive) = Archive::open(&path, directory.path()) {
        read_all(archive.index(), &archive);
        drop((archive.resolve(None), archive.resolve(Some("latest"))));
    }
}

/// The bytes are `index.json`, and every blob that it may name.
pub(crate) fn layout(bytes: &[u8]) {
    let directory = directory();
    let write = |name: &str, bytes: &[u8]| fs::write(directory.path().join(name), bytes).expect("writable");
    write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    write("index.json", bytes);
    if let Ok(layout) = OciLayout::open(directory.path()) {
        read_all(layout.index(), &layout);
        drop((layout.resolve(None), layout.resolve(Some("latest"))));
    }
    // The same bytes in place of the other document.
    write("oci-layout", bytes);
    drop(OciLayout::open(directory.path()));
}

fn read_all(index: &Index, blobs: &dyn BlobSource) {
    for entry in &index.manifests {
        let Ok(documents) = Documents::read(blobs, entry, &Platform::new("linux", "amd64")) else { continue };
        for layer in &documents.manifest.layers {
            // A missing or wrong blob is an error, and nothing else.
            drop(blobs.copy_to(layer, &mut io::sink()));
        }
    }
}

/// A directory in memory where there is one.
pub(crate) fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}
