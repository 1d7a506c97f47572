//! Which engine is here, and what it can read.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{EngineError, EngineKind};

/// How long a daemon may take to answer; one that is not there is known at once, a dead host never answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause between two looks at a program that has not ended.
const PAUSE: Duration = Duration::from_millis(5);

/// The first docker daemon that reads layers in zstd.
const DOCKER_WITH_ZSTD: u32 = 23;

/// Finds the engine to use when the user named none: podman, else docker, else containerd.
///
/// podman has no daemon, so its program is enough; of the others the daemon must answer, which may take five seconds.
/// Starts programs.
#[must_use]
pub fn detect() -> Option<EngineKind> {
    EngineKind::ALL.into_iter().find(|engine| answers(*engine).is_ok())
}

/// Whether the engine loads layers in zstd.
///
/// podman and containerd do in every version that is still in use; docker from version 23, so its daemon is asked.
///
/// # Errors
///
/// When docker's daemon does not answer.
pub fn reads_zstd(engine: EngineKind) -> Result<bool, EngineError> {
    match engine {
        EngineKind::Podman | EngineKind::Containerd => Ok(true),
        EngineKind::Docker => {
            let version = answers(EngineKind::Docker)?;
            Ok(major(&version).is_some_and(|major| major >= DOCKER_WITH_ZSTD))
        }
    }
}

/// The first number of a version such as `20.10.24+dfsg1`.
fn major(version: &str) -> Option<u32> {
    version.trim().split('.').next()?.parse().ok()
}

/// Asks an engine for its version: `4.3.1`, `20.10.24+dfsg1`. Starts a program.
///
/// # Errors
///
/// When its program is not installed, or its daemon does not answer within five seconds.
pub fn version(engine: EngineKind) -> Result<String, EngineError> {
    let said = answers(engine)?;
    // `ctr` speaks of itself first, then of the daemon.
    let labelled = said.lines().rev().find_map(|line| line.trim().strip_prefix("Version:"));
    let version = labelled.or_else(|| said.lines().next()).unwrap_or_default();
    Ok(version.trim().trim_start_matches("podman version ").to_owned())
}

/// Asks an engine where it keeps images, which tells whether it can keep any; `None` for containerd, whose program does
/// not know. Starts a program.
///
/// # Errors
///
/// When the engine does not answer, or cannot use its storage.
pub fn storage(engine: EngineKind) -> Result<Option<PathBuf>, EngineError> {
    let arguments: &[&str] = match engine {
        EngineKind::Podman => &["info", "--format", "{{.Store.GraphRoot}}"],
        EngineKind::Docker => &["info", "--format", "{{.DockerRootDir}}"],
        EngineKind::Containerd => return Ok(None),
    };
    let said = ask(engine, arguments)?;
    Ok(Some(said.trim()).filter(|path| !path.is_empty()).map(PathBuf::from))
}

/// Asks an engine for its version; returns what its program wrote.
fn answers(engine: EngineKind) -> Result<String, EngineError> {
    ask(
        engine,
        match engine {
            EngineKind::Podman => &["--version"],
            EngineKind::Docker => &["version", "--format", "{{.Server.Version}}"],
            EngineKind::Containerd => &["version"],
        },
    )
}

/// Runs an engine's program and returns what it wrote, a few lines.
fn ask(engine: EngineKind, arguments: &[&str]) -> Result<String, EngineError> {
    let command = format!("{} {}", engine.program(), arguments[0]);
    let child = Command::new(engine.program())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|source| cannot_start(engine, source))?;
    let cannot_wait = |source| EngineError::Io { action: format!("wait for {command}"), source };
    let status = match wait(&mut child) {
        Ok(Some(status)) => status,
        Ok(None) => {
            child.kill().and_then(|()| child.wait()).map_err(cannot_wait)?;
            return Err(cannot_wait(io::ErrorKind::TimedOut.into()));
        }
        Err(source) => return Err(cannot_wait(source)),
    };
    // An answer is far smaller than a pipe's buffer, so the program has ended without a reader.
    let (mut stdout, mut stderr) = (String::new(), String::new());
    if let (Some(out), Some(err)) = (&mut child.stdout, &mut child.stderr) {
        out.read_to_string(&mut stdout).and_then(|_| err.read_to_string(&mut stderr)).map_err(cannot_wait)?;
    }
    if status.success() { Ok(stdout) } else { Err(EngineError::Failed { command, status, stderr }) }
}

fn wait(child: &mut Child) -> io::Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(PAUSE);
    }
    Ok(None)
}

/// The error of a program that could not be started.
pub(super) fn cannot_start(engine: EngineKind, source: io::Error) -> EngineError {
    match source.kind() {
        io::ErrorKind::NotFound => EngineError::Absent { engine },
        _ => EngineError::Io { action: format!("start {}", engine.program()), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version() {
        for (version, expected) in
            [("20.10.24+dfsg1\n", Some(20)), ("28.2.2", Some(28)), ("", None), ("dev", None)]
        {
            assert_eq!(major(version), expected, "{version}");
        }
    }
}
