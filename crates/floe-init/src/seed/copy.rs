//! One store path, copied: its tree read once, written beside the store, its NAR hash computed from the same buffers.
//!
//! The copy grows in floe's own directory, since Nix's garbage collector deletes what it does not know from the store,
//! and it comes into the store by one rename.

use std::ffi::OsStr;
use std::io::{self, Read, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use floe_store::nar::{self, Encoder};
use floe_store::tree::{TreeSource as _, Visitor, WalkError};
use floe_store::{NarHash, PathInfo};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fchmod, futimens, mkdirat, openat, symlinkat, utimensat};
use sha2::{Digest as _, Sha256};

use super::image::Image;
use super::node::{self, EXECUTABLE, PLAIN, STORE_TIMES};
use super::progress::{Progress, Stop};

/// Bytes that are read, hashed and written at once.
const BUFFER: usize = 256 * 1024;

/// Why a path was not copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// The program was asked to end; what was copied whole stays, and the next start goes on from there.
    #[error("stopped while copying")]
    Stopped,
    /// The image's tree cannot be read, or the copy not written.
    #[error("cannot copy {path}")]
    Tree {
        /// The path's base name.
        path: floe_store::StorePath,
        /// What failed.
        #[source]
        source: WalkError,
    },
    /// The image holds other bytes than it registers; the copy is thrown away.
    #[error("the image's {path} is damaged: its NAR hash is {found}, and {expected} is registered")]
    Different {
        /// The path's base name.
        path: floe_store::StorePath,
        /// The registered hash.
        expected: NarHash,
        /// The hash of what was read.
        found: NarHash,
    },
    /// The copy is whole and cannot be put into its place, or what is in its place not removed.
    #[error("cannot put {} into place", place.display())]
    Place {
        /// Where it belongs.
        place: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// What a copy needs beside the path.
pub(super) struct Copying<'a> {
    pub(super) image: &'a Image,
    /// On the file system of the store, and nobody else's.
    pub(super) temporary: PathBuf,
    pub(super) progress: &'a Progress,
    pub(super) stop: &'a Stop,
}

impl Copying<'_> {
    /// Brings a path to `place`, where nothing may be yet, or a leftover that is then removed, unless it is the
    /// whole path: a start that was stopped after its rename, before it could be registered.
    pub(super) fn bring(&self, info: &PathInfo, place: &Path) -> Result<(), CopyError> {
        let misplaced = |source| CopyError::Place { place: place.to_owned(), source };
        if place.symlink_metadata().is_ok() {
            if is_whole(info, place) {
                self.progress.add_bytes(info.nar_size);
                return Ok(());
            }
            node::remove(place).map_err(misplaced)?;
        }
        let copy = self.copy(info)?;
        std::fs::rename(&copy, place).and_then(|()| node::seal(place)).map_err(misplaced)
    }

    /// Puts a fresh copy in the place of a damaged path, which is there until the moment of the exchange.
    pub(super) fn replace(&self, info: &PathInfo, place: &Path) -> Result<(), CopyError> {
        let misplaced = |source| CopyError::Place { place: place.to_owned(), source };
        let copy = self.copy(info)?;
        let discarded = self.temporary.join(format!("damaged-{}", info.path));
        let exchange = || {
            node::remove(&discarded)?;
            if let Ok(metadata) = place.symlink_metadata() {
                if metadata.is_dir() {
                    // Moving a directory changes its "..", which its mode must permit.
                    std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
                }
                std::fs::rename(place, &discarded)?;
            }
            std::fs::rename(&copy, place)?;
            node::seal(place)?;
            node::remove(&discarded)
        };
        exchange().map_err(misplaced)
    }

    /// Copies into the temporary directory and checks the hash there; the root directory stays writable, or it could
    /// not be moved.
    fn copy(&self, info: &PathInfo) -> Result<PathBuf, CopyError> {
        let path = &info.path;
        let copy = self.temporary.join(path.as_str());
        let begin = || {
            node::remove(&copy)?;
            open_directory(CWD, self.temporary.as_os_str())
        };
        let parent = begin().map_err(|source| CopyError::Place { place: copy.clone(), source })?;
        let mut copier = Copier {
            copying: self,
            name: path.as_str().as_bytes(),
            open: vec![parent],
            encoder: Encoder::new(),
            framing: Vec::new(),
            hash: Sha256::new(),
            buffer: vec![0; BUFFER],
        };
        let walked = self.image.trees.walk(path, &mut copier);
        let found = NarHash::from_bytes(copier.hash.finalize().into());
        let outcome = match walked {
            Ok(()) if found == info.nar_hash => return Ok(copy),
            Ok(()) => CopyError::Different { path: path.clone(), expected: info.nar_hash, found },
            Err(_) if self.stop.is_asked() => CopyError::Stopped,
            Err(source) => CopyError::Tree { path: path.clone(), source },
        };
        // The reason for giving up is worth more than one for not cleaning up; the next start removes the rest.
        node::remove(&copy).ok();
        Err(outcome)
    }
}

/// Whether what lies in a path's place is that path, as the store would have it.
fn is_whole(info: &PathInfo, place: &Path) -> bool {
    let is_equal = || nar::hash_location(place).is_ok_and(|(hash, _)| hash == info.nar_hash);
    node::is_canonical(place).unwrap_or_default() && is_equal()
}

fn open_directory(parent: impl std::os::fd::AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// Writes what it is shown, with the modes and times of the store, and hashes it.
struct Copier<'a> {
    copying: &'a Copying<'a>,
    /// The name of the root node.
    name: &'a [u8],
    /// Invariant: the directory that nodes now go into, and those above it; the first is the temporary one.
    open: Vec<OwnedFd>,
    encoder: Encoder,
    framing: Vec<u8>,
    hash: Sha256,
    buffer: Vec<u8>,
}

impl<'a> Copier<'a> {
    fn name_of<'b>(&self, relative: &'b [u8]) -> &'b OsStr
    where
        'a: 'b,
    {
        let name = relative.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        OsStr::from_bytes(if relative.is_empty() { self.name } else { name })
    }

    fn parent(&self) -> &OwnedFd {
        self.open.last().expect("the temporary directory is never left")
    }

    fn frame(&mut self, encode: impl FnOnce(&mut Encoder, &mut Vec<u8>)) {
        self.framing.clear();
        encode(&mut self.encoder, &mut self.framing);
        self.hash.update(&self.framing);
    }

    /// Reads, hashes and writes a file's bytes.
    fn pump(&mut self, contents: &mut dyn Read, file: &mut std::fs::File) -> io::Result<()> {
        loop {
            if self.copying.stop.is_asked() {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            let count = match contents.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.hash.update(&self.buffer[..count]);
            file.write_all(&self.buffer[..count])?;
            self.copying.progress.add_bytes(count as u64);
        }
    }
}

impl Visitor for Copier<'_> {
    fn enter_directory(&mut self, relative: &[u8]) -> io::Result<()> {
        self.frame(|encoder, out| encoder.enter_directory(relative, out));
        let name = self.name_of(relative);
        mkdirat(self.parent(), name, Mode::from_raw_mode(0o755))?;
        let directory = open_directory(self.parent(), name)?;
        self.open.push(directory);
        Ok(())
    }

    fn leave_directory(&mut self) -> io::Result<()> {
        self.frame(Encoder::leave_directory);
        let directory = self.open.pop().expect("every directory that is left was entered");
        if self.open.len() > 1 {
            fchmod(&directory, Mode::from_raw_mode(EXECUTABLE))?;
            futimens(&directory, &STORE_TIMES)?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        relative: &[u8],
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> io::Result<()> {
        self.frame(|encoder, out| encoder.begin_file(relative, executable, size, out));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(self.parent(), self.name_of(relative), flags, Mode::from_raw_mode(0o600))?;
        let mut file = std::fs::File::from(file);
        self.pump(contents, &mut file)?;
        fchmod(&file, Mode::from_raw_mode(if executable { EXECUTABLE } else { PLAIN }))?;
        futimens(&file, &STORE_TIMES)?;
        self.frame(|encoder, out| encoder.end_file(size, out));
        Ok(())
    }

    fn symlink(&mut self, relative: &[u8], target: &[u8]) -> io::Result<()> {
        self.frame(|encoder, out| encoder.symlink(relative, target, out));
        let name = self.name_of(relative);
        symlinkat(target, self.parent(), name)?;
        utimensat(self.parent(), name, &STORE_TIMES, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }
}
