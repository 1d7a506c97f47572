//! Loading an image into an engine: the hybrid archive, written into the engine's program through a pipe.
//!
//! Nothing is written to a disk here when all digests are known beforehand; other blobs are spooled first. The engine
//! itself makes the image appear at once: podman and docker read the whole archive before they name the image.

use std::io::BufWriter;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use floe_image::{BlobSink, BlobSource};

use super::complaint::keep_tail;
use super::probe::cannot_start;
use super::{EngineError, EngineKind, containerd, docker, podman};
use crate::archive::{ArchiveContents, ArchiveFormat, ArchiveNames, ArchiveWriter, WriteFailure};
use crate::destination::{DeliverError, Delivered, Destination};
use crate::staging::StagedBlobs;
use crate::{ImageName, Manifests, ParsedManifest};

/// Bytes that are gathered before a write into the pipe.
const WRITE_BUFFER: usize = 256 * 1024;

/// Takes an image into an engine; containerd takes an index too.
#[derive(Debug)]
pub struct EngineDestination {
    engine: EngineKind,
    name: Option<ImageName>,
    spool: StagedBlobs,
}

impl EngineDestination {
    /// Prepares for an engine. The image gets `name`, else the name that it is finished with. Blobs whose digest is not
    /// known beforehand are spooled in the directory `spool`.
    ///
    /// # Errors
    ///
    /// When the spool cannot be written.
    pub fn new(engine: EngineKind, name: Option<ImageName>, spool: &Path) -> Result<Self, DeliverError> {
        let spool = StagedBlobs::spool(spool).map_err(|source| DeliverError::Io {
            action: format!("write into {}", spool.display()),
            source,
        })?;
        Ok(Self { engine, name, spool })
    }
}

impl Destination for EngineDestination {
    fn sink(&self) -> &dyn BlobSink {
        &self.spool
    }

    fn finish(
        self: Box<Self>,
        manifests: &Manifests,
        name: Option<&ImageName>,
        blobs: &dyn BlobSource,
    ) -> Result<Delivered, DeliverError> {
        let engine = self.engine;
        let name = self.name.as_ref().or(name);
        if name.is_none() && engine == EngineKind::Containerd {
            return Err(DeliverError::Engine(EngineError::Unsupported {
                engine,
                wish: "take an image without a name",
                instead: "write containerd:NAME",
            }));
        }
        let names = names_in(engine, name);
        let contents = ArchiveContents::new(manifests, format_for(engine, manifests), engine.name())?;
        let archive = ArchiveWriter { contents, names, spooled: &self.spool, blobs };
        let written = load(engine, &archive)?;
        let location = match (name, manifests.top().parse()?) {
            (Some(name), _) => name.in_engine(engine),
            (None, ParsedManifest::Manifest(manifest)) => manifest.config.digest.hex(),
            (None, ParsedManifest::Index(_)) => manifests.top().descriptor.digest.to_string(),
        };
        Ok(Delivered { location, manifest: manifests.top().descriptor.clone(), written })
    }
}

/// The archive that an engine loads: the hybrid, but for an index, which only containerd keeps whole.
fn format_for(engine: EngineKind, manifests: &Manifests) -> ArchiveFormat {
    let is_index = manifests.top().descriptor.media_type.is_index();
    if is_index && engine == EngineKind::Containerd { ArchiveFormat::Oci } else { ArchiveFormat::Hybrid }
}

/// The names in an archive that one engine alone reads.
fn names_in(engine: EngineKind, name: Option<&ImageName>) -> ArchiveNames {
    let mut names = ArchiveNames::new(name);
    if engine == EngineKind::Podman {
        // podman takes its name from containerd's annotation, and its own builds are `localhost/…`.
        names.containerd = name.map(|name| name.in_engine(engine));
    }
    names
}

fn load(engine: EngineKind, archive: &ArchiveWriter<'_>) -> Result<u64, DeliverError> {
    let arguments = match engine {
        EngineKind::Podman => podman::LOAD,
        EngineKind::Docker => docker::LOAD,
        EngineKind::Containerd => containerd::LOAD,
    };
    let command = format!("{} {}", engine.program(), arguments.join(" "));
    let mut child = Command::new(engine.program())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| cannot_start(engine, source))?;
    let stdin = child.stdin.take().expect("standard input is a pipe");
    let stderr = keep_tail(child.stderr.take().expect("standard error is a pipe"));

    let mut out = BufWriter::with_capacity(WRITE_BUFFER, stdin);
    let result = archive.write(&mut out);
    if let Err(WriteFailure::Blob(..)) = &result {
        // The engine must not take the end of the pipe for the end of the archive.
        stop(&mut child, &command)?;
    }
    // Closes the pipe without another write: all was flushed, or the engine reads no more.
    drop(out.into_parts());
    let status =
        child.wait().map_err(|source| EngineError::Io { action: format!("wait for {command}"), source })?;
    let stderr = stderr.join().unwrap_or_default();
    match result {
        Err(failure @ WriteFailure::Blob(..)) => Err(failure.into_error(&command)),
        // An engine that gives up closes the pipe: its own words are the reason.
        _ if !status.success() => Err(EngineError::Failed { command, status, stderr }.into()),
        Err(failure) => Err(failure.into_error(&format!("into '{command}'"))),
        Ok(written) => Ok(written),
    }
}

fn stop(child: &mut Child, command: &str) -> Result<(), EngineError> {
    child.kill().map_err(|source| EngineError::Io { action: format!("stop {command}"), source })
}
