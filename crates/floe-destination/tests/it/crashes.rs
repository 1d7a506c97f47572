//! Runs that end early: killed in the middle, or with a full disk. Neither leaves a part of an image at its place.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Command;

use floe_destination::{ArchiveDestination, ArchiveFormat, DeliverError, Destination, OciLayoutDestination};
use floe_testkit::service::output::{COMMAND_TIMEOUT, run};

use crate::image::{Compression, Image};
use crate::layouts::files;
use crate::roles::{self, Role};

/// Starts a delivery that has staged bytes, and kills it.
fn kill_in_the_middle(destination: &str) {
    let mut child = roles::command(Role::Stop, destination, None, Compression::None)
        .spawn()
        .expect("the test binary starts");
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let written = stdout.lines().any(|line| line.expect("text") == "written");
    assert!(written, "{destination}");
    child.kill().and_then(|()| child.wait()).expect("it is killed");
}

#[test]
fn a_killed_run_leaves_nothing_that_the_next_does_not_remove() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let image = Image::of_bytes(b"some bytes");

    let layout = directory.path().join("layout");
    kill_in_the_middle(&format!("oci:{}", layout.display()));
    assert!(
        files(&layout).iter().all(|name| name.starts_with(".floe-staging-")),
        "no name that a reader knows"
    );
    let destination = OciLayoutDestination::create(&layout, None).expect("the remains are known");
    image.deliver_cold(Box::new(destination), None).expect("it is delivered");
    assert_eq!(files(&layout).len(), 5);

    let archive = directory.path().join("image.tar");
    fs::write(&archive, "old").expect("it is writable");
    kill_in_the_middle(&format!("oci-archive:{}", archive.display()));
    assert_eq!(fs::read_to_string(&archive).expect("it is there"), "old");
    let destination = ArchiveDestination::file(&archive, ArchiveFormat::Oci, directory.path());
    image.deliver_cold(Box::new(destination.expect("it is writable")), None).expect("it is delivered");
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 2);
}

/// A file system of one mebibyte; dropping it unmounts it.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "floe-test"]).arg(directory.path());
        run(&mut mount, COMMAND_TIMEOUT).unwrap_or_else(|error| panic!("tests run as root: {error}"));
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A mount that cannot be undone shows in the directory that stays.
        drop(run(Command::new("umount").arg("--lazy").arg(self.path()), COMMAND_TIMEOUT));
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing() {
    let disk = SmallDisk::mount();
    let image = Image::of_bytes(&[7; 2 << 20]);
    let layout = disk.path().join("layout");
    let archive = disk.path().join("image.tar");
    let open: [&dyn Fn() -> Box<dyn Destination>; 2] =
        [&|| Box::new(OciLayoutDestination::create(&layout, None).expect("it is writable")), &|| {
            let destination = ArchiveDestination::file(&archive, ArchiveFormat::Hybrid, disk.path());
            Box::new(destination.expect("it is writable"))
        }];
    for open in open {
        for deliver in [Image::deliver_cold, Image::deliver_warm] {
            let error = deliver(&image, open(), None).expect_err("the disk is too small");
            let mut reason: Option<&dyn std::error::Error> = Some(&error);
            let mut is_named = false;
            while let Some(error) = reason {
                is_named |= error.to_string().contains("No space left on device");
                reason = error.source();
            }
            assert!(is_named, "{error:?}");
            assert_eq!(fs::read_dir(disk.path()).expect("a directory").count(), 0, "{error:?}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_a_broken_pipe() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut reader = Command::new("head")
        .args(["-c", "1"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("head is on every machine");
    let stdin = reader.stdin.take().expect("a pipe");
    let mut first = stdin;
    first.write_all(b"x").expect("it reads");
    reader.wait().expect("it ends");
    let destination =
        ArchiveDestination::stream(Box::new(first), "a pipe", ArchiveFormat::Hybrid, directory.path());
    let image = Image::of_bytes(&[7; 1 << 20]);
    let error = image.deliver_warm(Box::new(destination.expect("a spool")), None);
    let error = error.expect_err("nobody reads");
    let DeliverError::Io { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::BrokenPipe);
}
