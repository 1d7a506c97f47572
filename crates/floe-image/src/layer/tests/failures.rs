//! Every failure is told, and no thread outlives it.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use floe_store::TreeSource;
use floe_store::tree::{NodeKind, Visitor, WalkError};

use super::*;

/// Packs on another thread and gives up, loudly, when that hangs.
fn pack_in_time<W: Write + Send + 'static>(
    contents: LayerContents,
    trees: impl TreeSource + 'static,
    compression: Compression,
    mut out: W,
) -> Result<Layer, PackError> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let outcome = packer(compression, 2).pack(&contents, &trees, &(), &mut out);
        sender.send(outcome).ok();
    });
    receiver.recv_timeout(Duration::from_secs(120)).expect("packing ends")
}

/// One file of this size, of many blocks.
fn fixture_of(size: usize) -> Fixture {
    let mut fixture = Fixture::new();
    write(&fixture.add("before"), 0o644, b"before");
    write(&fixture.add("large").join("file"), 0o644, &noise(size));
    fixture
}

const SIZES: [usize; 2] = [1000, 30 << 20];

#[test]
fn files_that_changed_are_not_packed() {
    for size in SIZES {
        let fixture = fixture_of(size);
        let contents = fixture.contents();
        let file = fixture.folder.path().join(fixture.paths[1].as_str()).join("file");
        for change in [
            |bytes: &mut Vec<u8>| bytes[500] ^= 1,
            |bytes: &mut Vec<u8>| bytes.push(0),
            |bytes: &mut Vec<u8>| bytes.truncate(400),
        ] {
            let mut bytes = noise(size);
            change(&mut bytes);
            std::fs::write(&file, &bytes).expect("a file");
            let outcome = pack_in_time(contents.clone(), fixture.trees(), Compression::Zstd(1), io::sink());
            let Err(PackError::Changed { path, expected, found }) = outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!(path, fixture.paths[1]);
            assert_ne!(expected, found);
        }
    }
}

#[test]
fn paths_that_cannot_be_read_are_named() {
    let fixture = fixture_of(1000);
    let contents = fixture.contents();
    let location = fixture.folder.path().join(fixture.paths[1].as_str());
    std::fs::remove_dir_all(&location).expect("a removed tree");
    let missing = pack_in_time(contents.clone(), fixture.trees(), Compression::default(), io::sink());
    assert!(
        matches!(&missing, Err(PackError::Walk { path, source: WalkError::Missing { .. } }) if *path == fixture.paths[1])
    );

    let _socket = std::os::unix::net::UnixListener::bind(&location).expect("a socket");
    let socket = pack_in_time(contents, fixture.trees(), Compression::default(), io::sink());
    assert!(matches!(socket, Err(PackError::Walk { source: WalkError::UnsupportedNode { .. }, .. })));
}

#[test]
fn a_full_disk_stops_every_thread() {
    for size in SIZES {
        for compression in EVERY_COMPRESSION {
            let fixture = fixture_of(size);
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
            let outcome = pack_in_time(fixture.contents(), fixture.trees(), compression, full);
            let Err(PackError::Write(source)) = outcome else { panic!("{outcome:?}") };
            assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        }
    }
}

#[test]
fn a_writer_that_fails_late_stops_every_thread() {
    let fixture = fixture_of(SIZES[1]);
    for compression in EVERY_COMPRESSION {
        let out = FailsAfter { left: 9 << 20, flush: true };
        let outcome = pack_in_time(fixture.contents(), fixture.trees(), compression, out);
        assert!(matches!(outcome, Err(PackError::Write(_))), "{outcome:?}");
        let out = FailsAfter { left: usize::MAX, flush: false };
        let outcome = pack_in_time(fixture.contents(), fixture.trees(), compression, out);
        assert!(matches!(outcome, Err(PackError::Write(_))), "{outcome:?}");
    }
}

#[test]
fn a_file_that_fails_midway_stops_every_thread() {
    for compression in EVERY_COMPRESSION {
        let contents = fixture_of(SIZES[1]).contents();
        let outcome = pack_in_time(contents, BreaksOff, compression, io::sink());
        let Err(PackError::Walk { source: WalkError::Unreadable { .. }, .. }) = outcome else {
            panic!("{outcome:?}");
        };
    }
}

#[test]
fn levels_that_do_not_exist_are_refused() {
    for compression in [
        Compression::Zstd(0),
        Compression::Zstd(-1),
        Compression::Zstd(20),
        Compression::Gzip(0),
        Compression::Gzip(13),
    ] {
        let error = Packer::new(compression, NonZeroUsize::MIN).err().expect("a refused level").to_string();
        assert!(error.contains("is not supported: expected 1 to"), "{error}");
    }
}

struct FailsAfter {
    left: usize,
    flush: bool,
}

impl Write for FailsAfter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::ConnectionReset)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.flush { Ok(()) } else { Err(io::ErrorKind::ConnectionReset.into()) }
    }
}

/// A source whose every path is a file that breaks off after 20 MiB.
struct BreaksOff;

impl TreeSource for BreaksOff {
    fn walk(&self, _: &StorePath, visitor: &mut dyn Visitor) -> Result<(), WalkError> {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let mut contents = io::repeat(7).take(20 << 20).chain(Broken);
        let path = PathBuf::from("file");
        visitor
            .file(b"", false, 40 << 20, &mut contents)
            .map_err(|source| WalkError::Unreadable { path, source })
    }

    fn node_kind(&self, _: &StorePath, _: &str) -> Result<Option<NodeKind>, WalkError> {
        Ok(None)
    }

    fn children(&self, _: &StorePath, _: &str) -> Result<Vec<(OsString, NodeKind)>, WalkError> {
        Ok(Vec::new())
    }

    fn link_target(&self, _: &StorePath, _: &str) -> Result<PathBuf, WalkError> {
        Ok(PathBuf::new())
    }
}
