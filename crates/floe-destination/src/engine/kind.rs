//! The three engines, and what can go wrong when their programs are called.

use std::fmt;
use std::io;
use std::process::ExitStatus;

/// A container engine that is called through its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineKind {
    /// podman, called as `podman`.
    Podman,
    /// docker, called as `docker`.
    Docker,
    /// containerd, called as `ctr`.
    Containerd,
}

impl EngineKind {
    /// All engines, in the order in which they are preferred: podman needs no daemon, and `ctr` is for debugging.
    pub const ALL: [Self; 3] = [Self::Podman, Self::Docker, Self::Containerd];

    /// The engine's name, as destinations are written: `podman`, `docker`, `containerd`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Containerd => "containerd",
        }
    }

    /// The program that is called, found in `PATH`.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Containerd => "ctr",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why an engine did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine's program is not in `PATH`.
    #[error("'{}' is not installed: {engine} is called through it", engine.program())]
    Absent {
        /// The engine.
        engine: EngineKind,
    },
    /// The program is there and could not be started, written to or waited for.
    #[error("cannot {action}")]
    Io {
        /// What was tried, with the program.
        action: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The program said no; its last words are shown, since only the engine knows its reasons.
    #[error("'{command}' failed with {status}{}", last_words(stderr))]
    Failed {
        /// The command, without the arguments that carry the user's values.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// The engine's program has no option for what was asked for; running without it would be less than was asked.
    #[error("{engine} cannot {wish}: {instead}")]
    Unsupported {
        /// The engine.
        engine: EngineKind,
        /// What was asked for.
        wish: &'static str,
        /// What to do.
        instead: &'static str,
    },
}

fn last_words(stderr: &str) -> String {
    let stderr = stderr.trim_end();
    if stderr.is_empty() { String::new() } else { format!(":\n{stderr}") }
}
