//! Saving an image of an engine: its own program writes an archive, which is read from there.
//!
//! What comes out is what the engine kept. containerd keeps all as it came, so digests stay. podman and docker unpack
//! layers and forget their compressed bytes: the config stays byte for byte, but the layers are plain tars, and the
//! manifest another one (podman 4.3, docker 20.10, by trial).

use std::path::Path;
use std::process::{Command, Stdio};

use super::complaint::keep_tail;
use super::probe::cannot_start;
use super::{EngineError, EngineKind, containerd, docker, podman};
use crate::ImageName;
use crate::archive::Archive;
use crate::source::OpenSourceError;
use crate::staging::Staging;

/// Saves an image into a file in `spool` that has no name any more when this returns.
pub(crate) fn save(engine: EngineKind, name: &ImageName, spool: &Path) -> Result<Archive, OpenSourceError> {
    let cannot = |source| EngineError::Io { action: format!("write into {}", spool.display()), source };
    let staging = Staging::new(spool).map_err(cannot)?;
    let file = staging.path().join("image.tar");
    let attempts = match engine {
        EngineKind::Podman => podman::SAVE,
        EngineKind::Docker => docker::SAVE,
        EngineKind::Containerd => containerd::SAVE,
    };
    let mut outcome = Ok(());
    for arguments in attempts {
        outcome = run(engine, arguments, &file, name);
        if outcome.is_ok() {
            break;
        }
    }
    outcome?;
    Ok(Archive::open(&file, staging.path())?)
}

/// Runs one form of an engine's saving command.
fn run(engine: EngineKind, arguments: &[&str], file: &Path, name: &ImageName) -> Result<(), EngineError> {
    let command = format!("{} {}", engine.program(), arguments.join(" "));
    let mut program = Command::new(engine.program());
    program.args(arguments);
    match engine {
        EngineKind::Podman | EngineKind::Docker => {
            program.arg("--output").arg(file).arg(name.to_string());
        }
        EngineKind::Containerd => {
            program.arg(file).arg(name.in_engine(engine));
        }
    }
    let child = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|source| cannot_start(engine, source))?;
    let stderr = keep_tail(child.stderr.take().expect("standard error is a pipe"));
    let status =
        child.wait().map_err(|source| EngineError::Io { action: format!("wait for {command}"), source })?;
    let stderr = stderr.join().unwrap_or_default();
    if status.success() { Ok(()) } else { Err(EngineError::Failed { command, status, stderr }) }
}
