//! OCI layouts: written whole, shared by several runs, read by skopeo and umoci.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use floe_destination::{Destination, Documents, OciLayout, OciLayoutDestination};
use floe_image::BlobSource as _;
use floe_image::oci::Platform;
use floe_testkit::service::output::{COMMAND_TIMEOUT, run};
use floe_testkit::service::program;

use crate::conformance::check_layout;
use crate::image::{Compression, Image};
use crate::roles::{self, Role};

fn open(directory: &Path, tag: Option<&str>) -> Box<dyn Destination> {
    Box::new(OciLayoutDestination::create(directory, tag).expect("the directory is writable"))
}

/// The names of all files below a directory.
pub(crate) fn files(directory: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.strip_prefix(directory).expect("below it").display().to_string();
        if path.is_dir() {
            names.extend(files(&path).into_iter().map(|inner| format!("{name}/{inner}")));
        } else {
            names.insert(name);
        }
    }
    names
}

pub(crate) fn skopeo(arguments: &[&str]) -> String {
    let skopeo = program::find("skopeo").unwrap_or_else(|error| panic!("{error}"));
    run(Command::new(skopeo).args(arguments), COMMAND_TIMEOUT)
        .unwrap_or_else(|error| panic!("{error}"))
        .stdout
}

#[test]
fn a_layout_holds_what_was_delivered() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("image");
        let image = Image::busybox(compression, "a page\n");
        let cold = image.deliver_cold(open(&path, None), Some("app:1.0")).expect("it is delivered");
        assert_eq!(cold.location, format!("oci:{}:1.0", path.display()));
        check_layout(&path);
        // Two documents, a manifest, a config, two layers, and nothing of the staging.
        assert_eq!(files(&path).len(), 6);

        let before = files(&path);
        let warm = image.deliver_warm(open(&path, None), Some("app:1.0")).expect("it is delivered");
        assert_eq!((warm.written, files(&path)), (0, before));

        let layout = OciLayout::open(&path).expect("a layout");
        let root = layout.resolve(Some("1.0")).expect("the tag is there");
        let read = Documents::read(&layout, &root, &Platform::new("linux", "amd64")).expect("an image");
        assert_eq!(read, image.documents);
        for layer in &read.manifest.layers {
            let mut bytes = Vec::new();
            layout.copy_to(layer, &mut bytes).expect("it is there");
            assert_eq!(bytes, image.blobs[&layer.digest]);
        }
        let error = Documents::read(&layout, &root, &Platform::new("linux", "arm64")).map(drop);
        assert!(error.is_ok(), "a manifest alone is for any platform");

        let reference = format!("oci:{}:1.0", path.display());
        let manifest = skopeo(&["inspect", "--raw", &reference]);
        assert_eq!(manifest.as_bytes(), image.documents.document.bytes);
        // Copying reads and verifies every blob.
        let copy = format!("dir:{}", directory.path().join("copy").display());
        skopeo(&["copy", "--insecure-policy", &reference, &copy]);
    }
}

#[test]
fn umoci_reads_a_layout() {
    let umoci = program::find("umoci").unwrap_or_else(|error| panic!("{error}"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("image");
    let image = Image::busybox(Compression::Gzip, "a page\n");
    image.deliver_cold(open(&path, Some("1.0")), None).expect("it is delivered");
    let bundle = directory.path().join("bundle");
    let mut command = Command::new(umoci);
    command.args(["unpack", "--image", &format!("{}:1.0", path.display())]).arg(&bundle);
    run(&mut command, COMMAND_TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    let page = fs::read_to_string(bundle.join("rootfs/www/index.html")).expect("the page is unpacked");
    assert_eq!(page, "a page\n");
}

#[test]
fn concurrent_threads_and_processes_all_land() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("image");
    let children: Vec<_> = (0..4)
        .map(|number| {
            let destination = format!("oci:{}:process-{number}", path.display());
            let mut command = roles::command(Role::DeliverCold, &destination, None, Compression::None);
            command.spawn().expect("the test binary starts")
        })
        .collect();
    thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let image = Image::of_bytes(&[number; 100_000]);
                let tag = format!("thread-{number}");
                image.deliver_cold(open(path, Some(&tag)), None).expect("it is delivered");
            });
        }
    });
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("\ndelivered oci:"), "{text}");
    }
    check_layout(&path);
    let layout = OciLayout::open(&path).expect("a layout");
    let tags = (0..4).map(|n| format!("process-{n}")).chain((0..8).map(|n| format!("thread-{n}")));
    for tag in tags {
        let root = layout.resolve(Some(&tag)).expect(&tag);
        Documents::read(&layout, &root, &Platform::new("linux", "amd64")).expect(&tag);
    }
    assert_eq!(layout.index().manifests.len(), 12);
    assert!(files(&path).iter().all(|name| !name.contains(".floe")), "nothing staged is left");
}

#[test]
fn damaged_blobs_are_found() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("image");
    let image = Image::of_bytes(b"some bytes");
    image.deliver_cold(open(&path, None), None).expect("it is delivered");
    let layer = &image.documents.manifest.layers[0];
    let blob = path.join("blobs/sha256").join(layer.digest.hex());
    let layout = OciLayout::open(&path).expect("a layout");
    let mut bytes = image.blobs[&layer.digest].clone();
    bytes[0] ^= 1;
    fs::write(&blob, &bytes).expect("it is writable");
    assert!(layout.copy_to(layer, &mut Vec::new()).is_err(), "the digest is another");
    // A file that was cut off is written again by the next delivery.
    fs::write(&blob, &bytes[..10]).expect("it is writable");
    image.deliver_warm(open(&path, None), None).expect("it is delivered");
    layout.copy_to(layer, &mut Vec::new()).expect("it is whole again");
}
