//! Delivering an image as an archive: into a file, which appears whole, or down a stream.
//!
//! Blobs whose digest is known beforehand are not taken by the sink: they are asked for when their place in the tar
//! comes. Others are spooled, since the documents that name them come first. When all are known, nothing is spooled.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use floe_image::{BlobSink, BlobSource};

use super::gzip::{GzipWriter, is_named_gzip};
use super::writer::{ArchiveContents, ArchiveFormat, ArchiveNames, ArchiveWriter, WriteFailure};
use crate::destination::{DeliverError, Delivered, Destination};
use crate::staging::StagedBlobs;
use crate::{ImageName, Manifests};

/// Bytes that are gathered before a write.
const WRITE_BUFFER: usize = 256 * 1024;

/// Takes an image into an archive; an OCI archive takes an index too.
#[derive(Debug)]
pub struct ArchiveDestination {
    format: ArchiveFormat,
    output: Output,
    spool: StagedBlobs,
}

enum Output {
    /// A file that is replaced at the end.
    File(PathBuf),
    /// A stream, and what it is called.
    Stream(Mutex<Box<dyn Write + Send>>, String),
}

impl std::fmt::Debug for Output {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
            Self::Stream(_, name) => formatter.debug_tuple("Stream").field(name).finish(),
        }
    }
}

impl ArchiveDestination {
    /// Writes to a file. It is made beside its place and renamed, so it is there whole or not at all; a link is followed,
    /// and a pipe or device is written to as it is. The spool lies beside the file, or in `spool` for a device.
    ///
    /// # Errors
    ///
    /// When the file's directory is not there or cannot be written.
    pub fn file(path: &Path, format: ArchiveFormat, spool: &Path) -> Result<Self, DeliverError> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(cannot("write", path, io::ErrorKind::IsADirectory.into()));
            }
            Ok(metadata) if !metadata.is_file() => {
                let device =
                    File::options().write(true).open(path).map_err(|source| cannot("open", path, source))?;
                return Self::stream(Box::new(device), &path.display().to_string(), format, spool);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(cannot("look at", path, source)),
        }
        // A link to a file that is not there yet stays unresolved, and the link itself is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let spool =
            StagedBlobs::spool(directory).map_err(|source| cannot("write into", directory, source))?;
        Ok(Self { format, output: Output::File(path), spool })
    }

    /// Writes down a stream that is called `name` in errors. Unknown blobs are spooled in the directory `spool`.
    ///
    /// # Errors
    ///
    /// When the spool cannot be written.
    pub fn stream(
        out: Box<dyn Write + Send>,
        name: &str,
        format: ArchiveFormat,
        spool: &Path,
    ) -> Result<Self, DeliverError> {
        let spool = StagedBlobs::spool(spool).map_err(|source| cannot("write into", spool, source))?;
        Ok(Self { format, output: Output::Stream(Mutex::new(out), name.to_owned()), spool })
    }
}

impl Destination for ArchiveDestination {
    fn sink(&self) -> &dyn BlobSink {
        &self.spool
    }

    fn finish(
        self: Box<Self>,
        manifests: &Manifests,
        name: Option<&ImageName>,
        blobs: &dyn BlobSource,
    ) -> Result<Delivered, DeliverError> {
        let Self { format, output, spool } = *self;
        let names = ArchiveNames::new(name);
        let contents = ArchiveContents::new(manifests, format, "a docker-archive")?;
        let archive = ArchiveWriter { contents, names, spooled: &spool, blobs };
        let (location, written) = match output {
            Output::File(path) => (path.display().to_string(), write_file(&archive, &path, &spool)?),
            Output::Stream(out, name) => {
                let out = out.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
                let mut out = BufWriter::with_capacity(WRITE_BUFFER, out);
                let written = archive.write(&mut out).map_err(|failure| failure.into_error(&name))?;
                (name, written)
            }
        };
        Ok(Delivered { location, manifest: manifests.top().descriptor.clone(), written })
    }
}

/// Writes an archive in the spool and moves it to its place.
fn write_file(archive: &ArchiveWriter<'_>, path: &Path, spool: &StagedBlobs) -> Result<u64, DeliverError> {
    let staged = spool.unused_path();
    let file = File::create_new(&staged).map_err(|source| cannot("create", &staged, source))?;
    let mut out = BufWriter::with_capacity(WRITE_BUFFER, &file);
    let failed = |failure: WriteFailure| failure.into_error(&path.display().to_string());
    let written = if is_named_gzip(path) {
        let mut compressed = GzipWriter::new(&mut out);
        let written = archive.write(&mut compressed).map_err(failed)?;
        compressed.finish().map_err(|source| cannot("write", path, source))?;
        written
    } else {
        archive.write(&mut out).map_err(failed)?
    };
    drop(out);
    file.sync_data().map_err(|source| cannot("flush", path, source))?;
    fs::rename(&staged, path).map_err(|source| cannot("write", path, source))?;
    Ok(written)
}

fn cannot(verb: &str, path: &Path, source: io::Error) -> DeliverError {
    DeliverError::Io { action: format!("{verb} {}", path.display()), source }
}
