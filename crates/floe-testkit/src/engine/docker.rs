//! dockerd with private directories, a private socket, and a containerd of its own.
//!
//! Started so:
//!
//! - `--iptables=false --bridge=none`: the machine's firewall and links stay as they are, so a container has either
//!   no network or the host's.
//! - `--config-file`: an empty one, so that `/etc/docker/daemon.json` does not count.
//! - `--shutdown-timeout=1`, and `--stop-timeout=0` for each container: one that a test forgot and that ignores
//!   SIGTERM would hold up the end for ten seconds.
//!
//! The client is whatever `docker` is in `PATH`: Debian's 20.10 and newer ones speak to this daemon.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::interface::{container_name, finish, sorted_lines};
use super::{Container, Engine, EngineError, Run};
use crate::service::directory::Directory;
use crate::service::output::{self, Output};
use crate::service::process::{Process, START_TIMEOUT};
use crate::service::program;
use crate::service::shared::Shared;

/// The options of every container; see [`Run`].
const HARDENED: &[&str] =
    &["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--stop-timeout=0"];

/// A private dockerd. Dropping it stops the daemon and removes its files.
#[derive(Debug)]
pub struct Docker {
    // Invariant: declared before the directory, so that it has stopped when that is removed.
    daemon: Process,
    directory: Directory,
}

impl Docker {
    /// Starts a daemon and waits until it answers: a third of a second on an idle machine.
    ///
    /// # Errors
    ///
    /// [`EngineError::Missing`], [`EngineError::Directory`], or [`EngineError::Start`] with the end of its log.
    pub fn start() -> Result<Self, EngineError> {
        for program in ["docker", "dockerd", "containerd", "runc"] {
            program::find(program)?;
        }
        let directory = Directory::new("docker")?;
        directory.create("client")?;
        let mut command = Command::new("dockerd");
        command
            .arg("--config-file")
            .arg(directory.write("daemon.json", "{}")?)
            .arg("--data-root")
            .arg(directory.join("data"))
            .arg("--exec-root")
            .arg(directory.join("exec"))
            .arg("--pidfile")
            .arg(directory.join("pid"))
            .arg(format!("--host={}", host(&directory)))
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--shutdown-timeout=1"]);
        let daemon = Process::start(&command, directory.join("log"))?;
        let mut docker = Self { daemon, directory };
        let mut version = docker.command();
        version.arg("version");
        docker.daemon.wait_until(|log| {
            // The client is only asked when the daemon says that it listens: a client costs 20 ms of a core.
            let listens = log.contains("API listen on");
            (listens && output::run(&mut version, START_TIMEOUT).is_ok()).then_some(())
        })?;
        Ok(docker)
    }

    /// Returns the daemon that the tests running now share; see [`Shared`].
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn shared() -> Result<Arc<Self>, EngineError> {
        static DOCKER: Shared<Docker> = Shared::new();
        DOCKER.or_start(Self::start)
    }

    /// The last lines that the daemon wrote.
    pub fn log_tail(&self) -> String {
        self.daemon.log_tail()
    }

    fn run_command(&self, run: &Run<'_>) -> Command {
        let mut command = self.command();
        command.arg("run").args(HARDENED).args(run.options);
        command
    }
}

fn host(directory: &Directory) -> String {
    format!("unix://{}", directory.join("docker.sock").display())
}

impl Engine for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn environment(&self) -> Vec<(String, String)> {
        // The user's own client configuration may name another context, or a proxy for containers.
        let configuration = self.directory.join("client").display().to_string();
        vec![("DOCKER_CONFIG".to_owned(), configuration), ("DOCKER_HOST".to_owned(), host(&self.directory))]
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.envs(self.environment());
        for variable in ["DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
            command.env_remove(variable);
        }
        command
    }

    fn load(&self, archive: &Path) -> Result<Output, EngineError> {
        finish(self.command().args(["load", "--input"]).arg(archive))
    }

    fn images(&self) -> Result<Vec<String>, EngineError> {
        let format = "{{.Repository}}:{{.Tag}}";
        Ok(sorted_lines(&finish(self.command().args(["images", "--format", format]))?.stdout))
    }

    fn run(&self, run: &Run<'_>) -> Result<Output, EngineError> {
        let mut command = self.run_command(run);
        finish(command.args(["--rm", "--network=none", run.image]).args(run.arguments))
    }

    fn run_detached(&self, run: &Run<'_>) -> Result<Container<'_>, EngineError> {
        let name = container_name();
        let mut command = self.run_command(run);
        let network = if run.port.is_some() { "--network=host" } else { "--network=none" };
        // Made before the start, which may fail after the container was created.
        let container = Container::new(self, name.clone(), run.port);
        finish(command.args(["--detach", network, "--name", &name, run.image]).args(run.arguments))?;
        Ok(container)
    }

    fn logs(&self, container: &str) -> Result<String, EngineError> {
        let output = finish(self.command().args(["logs", container]))?;
        Ok(output.stdout + &output.stderr)
    }

    fn remove(&self, container: &str) -> Result<(), EngineError> {
        finish(self.command().args(["rm", "--force", "--volumes", container])).map(drop)
    }
}
