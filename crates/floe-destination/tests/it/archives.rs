//! Archives: the same bytes from spooled and from known blobs, read by floe, skopeo and each other.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use floe_destination::{Archive, ArchiveDestination, ArchiveFormat, Destination, Documents};
use floe_image::BlobSource as _;
use floe_image::oci::Platform;
use floe_testkit::service::output::{COMMAND_TIMEOUT, run};

use crate::conformance::check_layout;
use crate::image::{Compression, Image};
use crate::layouts::skopeo;

fn file(path: &Path, format: ArchiveFormat) -> Box<dyn Destination> {
    let spool = path.parent().expect("it is in a directory");
    Box::new(ArchiveDestination::file(path, format, spool).expect("the directory is writable"))
}

/// A stream that a test can look at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panicked").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn spooled_and_known_blobs_give_the_same_archive() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let image = Image::busybox(Compression::Gzip, "a page\n");
    for format in [ArchiveFormat::Oci, ArchiveFormat::Hybrid] {
        let (cold, warm) = (directory.path().join("cold.tar"), directory.path().join("warm.tar"));
        let delivered = image.deliver_cold(file(&cold, format), Some("app:1.0")).expect("it is delivered");
        image.deliver_warm(file(&warm, format), Some("app:1.0")).expect("it is delivered");
        let bytes = fs::read(&cold).expect("it is there");
        assert_eq!(bytes.len() as u64, delivered.written);
        assert!(bytes == fs::read(&warm).expect("it is there"), "{format:?}");

        let out = Shared::default();
        let stream = ArchiveDestination::stream(Box::new(out.clone()), "a test", format, directory.path());
        image.deliver_warm(Box::new(stream.expect("a spool")), Some("app:1.0")).expect("it is delivered");
        assert!(bytes == *out.0.lock().expect("no writer panicked"), "{format:?}");
    }
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 2, "no spool is left");
}

#[test]
fn every_reader_reads_an_archive() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("image.tar");
        let image = Image::busybox(compression, "a page\n");
        for (format, transport) in
            [(ArchiveFormat::Oci, "oci-archive"), (ArchiveFormat::Hybrid, "docker-archive")]
        {
            image.deliver_warm(file(&path, format), Some("app:1.0")).expect("it is delivered");

            let archive = Archive::open(&path, directory.path()).expect("an archive");
            let root = archive.resolve(Some("1.0")).expect("the tag is there");
            let read = Documents::read(&archive, &root, &Platform::new("linux", "amd64")).expect("an image");
            assert_eq!(read, image.documents);
            for layer in &read.manifest.layers {
                let mut bytes = Vec::new();
                archive.copy_to(layer, &mut bytes).expect("it is there");
                assert_eq!(bytes, image.blobs[&layer.digest]);
            }

            let manifest = skopeo(&["inspect", "--raw", &format!("oci-archive:{}", path.display())]);
            assert_eq!(manifest.as_bytes(), image.documents.document.bytes);
            let copy = directory.path().join(transport);
            let (from, to) = (format!("{transport}:{}", path.display()), format!("dir:{}", copy.display()));
            skopeo(&["copy", "--insecure-policy", &from, &to]);

            let unpacked = directory.path().join(format!("{transport}-unpacked"));
            fs::create_dir(&unpacked).expect("it is writable");
            let mut tar = Command::new("tar");
            run(tar.arg("-xf").arg(&path).arg("-C").arg(&unpacked), COMMAND_TIMEOUT)
                .expect("GNU tar reads it");
            check_layout(&unpacked);
        }
    }
}

#[test]
fn docker_s_own_form_is_read() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (hybrid, docker) = (directory.path().join("hybrid.tar"), directory.path().join("docker.tar"));
    let image = Image::busybox(Compression::Gzip, "a page\n");
    image.deliver_warm(file(&hybrid, ArchiveFormat::Hybrid), Some("app:1.0")).expect("it is delivered");
    // skopeo writes docker's form of before version 25, with layers uncompressed and links beside them.
    let to = format!("docker-archive:{}:app:1.0", docker.display());
    skopeo(&["copy", "--insecure-policy", &format!("oci-archive:{}", hybrid.display()), &to]);
    let archive = Archive::open(&docker, directory.path()).expect("an archive");
    let root = archive.resolve(Some("docker.io/library/app:1.0")).expect("docker's name is there");
    let read = Documents::read(&archive, &root, &Platform::new("linux", "amd64")).expect("an image");
    assert_eq!(read.config.rootfs, image.documents.config.rootfs);
    for (layer, diff_id) in read.manifest.layers.iter().zip(&read.config.rootfs.diff_ids) {
        assert_eq!(layer.digest, diff_id.digest(), "the layers are uncompressed");
        archive.copy_to(layer, &mut io::sink()).expect("it is there");
    }
}

#[test]
fn refuses_what_is_no_archive() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("image.tar");
    for (bytes, expected) in [
        (&b"BZh91AY&"[..], "is compressed with bzip2: expected a tar, plain or in gzip or zstd"),
        (b"", "expected 'index.json' or 'manifest.json'"),
        (b"a letter", "the archive is cut off at offset 0"),
        (&[1; 1024], "no tar header at offset 0"),
    ] {
        fs::write(&path, bytes).expect("it is writable");
        let message = Archive::open(&path, directory.path()).expect_err(expected).to_string();
        assert!(message.ends_with(expected), "{message}");
    }
}

#[test]
fn reads_archives_that_are_compressed_as_a_whole_and_refuses_bombs() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plain = directory.path().join("plain.tar");
    let image = Image::busybox(Compression::Gzip, "a page\n");
    image.deliver_warm(file(&plain, ArchiveFormat::Hybrid), Some("app:1.0")).expect("it is delivered");
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("memory");
    let bytes = fs::read(&plain).expect("it is there");
    let compressed = directory.path().join("compressed.tar");
    let zeros = vec![0; 64 << 20];
    for (image_bytes, bomb) in [(gzip(&bytes), gzip(&zeros)), (zstd(&bytes), zstd(&zeros))] {
        fs::write(&compressed, image_bytes).expect("it is writable");
        let archive = Archive::open(&compressed, directory.path()).expect("an archive");
        let root = archive.resolve(Some("app:1.0")).expect("the name is there");
        let read = Documents::read(&archive, &root, &Platform::new("linux", "amd64")).expect("an image");
        assert_eq!(read, image.documents);
        for layer in &read.manifest.layers {
            archive.copy_to(layer, &mut io::sink()).expect("it is there");
        }
        fs::write(&compressed, bomb).expect("it is writable");
        let error = Archive::open(&compressed, directory.path()).expect_err("a bomb");
        let cause = std::error::Error::source(&error).expect("the reason").to_string();
        assert!(cause.contains("out of all proportion"), "{cause}");
    }
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 2, "no spool is left");
}

#[test]
fn a_missing_blob_leaves_the_old_archive() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("image.tar");
    fs::write(&path, "old").expect("it is writable");
    let image = Image::of_bytes(b"some bytes");
    let nothing = crate::image::Nothing;
    let error = file(&path, ArchiveFormat::Hybrid).finish(&image.documents.manifests(), None, &nothing);
    let message = error.expect_err("the config is nowhere").to_string();
    assert!(message.contains(&image.documents.manifest.config.digest.to_string()), "{message}");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "old");
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
}

#[test]
fn a_link_is_followed_and_a_device_is_written_to() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (target, link) = (directory.path().join("target.tar"), directory.path().join("link.tar"));
    fs::write(&target, "old").expect("it is writable");
    std::os::unix::fs::symlink(&target, &link).expect("it is writable");
    let image = Image::of_bytes(b"some bytes");
    image.deliver_warm(file(&link, ArchiveFormat::Oci), None).expect("it is delivered");
    assert!(link.is_symlink());
    Archive::open(&target, directory.path()).expect("the target is the archive");

    let device = ArchiveDestination::file(Path::new("/dev/null"), ArchiveFormat::Oci, directory.path());
    image.deliver_warm(Box::new(device.expect("a spool")), None).expect("it is delivered");
    assert!(!fs::metadata("/dev/null").expect("it is there").is_file());
}
