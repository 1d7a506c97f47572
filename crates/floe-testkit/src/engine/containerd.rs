//! containerd with private directories and a private socket, driven by `ctr`.
//!
//! The plugin for Kubernetes is off: it wants a network configuration and nothing here uses it. Images are unpacked
//! with the overlayfs snapshotter and run by runc. The shims of all daemons of a machine share
//! `/run/containerd/{fifo,runc,s}`; names of containers are therefore unique over the machine.
//!
//! `ctr run` of containerd 1.6 cannot choose the user: the image's own user runs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::{fs, thread, time::Duration};

use super::interface::{container_name, finish, sorted_lines};
use super::{Container, Engine, EngineError, Run};
use crate::service::directory::Directory;
use crate::service::output::{self, Output};
use crate::service::process::{Process, START_TIMEOUT};
use crate::service::program;
use crate::service::shared::Shared;

/// What `ctr run` leaves to a container; it knows no `ALL`. From containerd 1.6, `oci/spec.go`, `defaultUnixCaps`.
const DEFAULT_CAPABILITIES: &[&str] = &[
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// A private containerd. Dropping it stops the daemon, its shims and containers, and removes its files.
#[derive(Debug)]
pub struct Containerd {
    // Invariant: declared before the directory, so that it has stopped when that is removed.
    daemon: Process,
    directory: Directory,
}

impl Containerd {
    /// Starts a daemon and waits until it answers: a tenth of a second on an idle machine.
    ///
    /// # Errors
    ///
    /// [`EngineError::Missing`], [`EngineError::Directory`], or [`EngineError::Start`] with the end of its log.
    pub fn start() -> Result<Self, EngineError> {
        for program in ["containerd", "ctr", "runc"] {
            program::find(program)?;
        }
        let directory = Directory::new("containerd")?;
        directory.create("logs")?;
        let configuration = directory.write(
            "config.toml",
            format!(
                "version = 2\n\
                 root = \"{}\"\n\
                 state = \"{}\"\n\
                 disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
                 [grpc]\n\
                 address = \"{}\"\n",
                directory.join("root").display(),
                directory.join("state").display(),
                directory.join("sock").display()
            ),
        )?;
        let mut command = Command::new("containerd");
        let daemon = Process::start(command.arg("--config").arg(configuration), directory.join("log"))?;
        let mut containerd = Self { daemon, directory };
        let mut version = containerd.command();
        version.arg("version");
        containerd.daemon.wait_until(|log| {
            let booted = log.contains("successfully booted");
            (booted && output::run(&mut version, START_TIMEOUT).is_ok()).then_some(())
        })?;
        Ok(containerd)
    }

    /// Returns the daemon that the tests running now share; see [`Shared`].
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn shared() -> Result<Arc<Self>, EngineError> {
        static CONTAINERD: Shared<Containerd> = Shared::new();
        CONTAINERD.or_start(Self::start)
    }

    /// The last lines that the daemon wrote.
    pub fn log_tail(&self) -> String {
        self.daemon.log_tail()
    }

    fn run_command(&self, run: &Run<'_>) -> Command {
        let mut command = self.command();
        command.args(["run", "--read-only"]);
        for capability in DEFAULT_CAPABILITIES {
            command.args(["--cap-drop", capability]);
        }
        command.args(run.options);
        command
    }
}

impl Engine for Containerd {
    fn name(&self) -> &'static str {
        "containerd"
    }

    fn environment(&self) -> Vec<(String, String)> {
        let socket = self.directory.join("sock").display().to_string();
        vec![("CONTAINERD_ADDRESS".to_owned(), socket)]
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ctr");
        command.envs(self.environment()).env_remove("CONTAINERD_NAMESPACE");
        command
    }

    fn load(&self, archive: &Path) -> Result<Output, EngineError> {
        finish(self.command().args(["images", "import"]).arg(archive))
    }

    fn images(&self) -> Result<Vec<String>, EngineError> {
        Ok(sorted_lines(&finish(self.command().args(["images", "list", "--quiet"]))?.stdout))
    }

    fn run(&self, run: &Run<'_>) -> Result<Output, EngineError> {
        let name = container_name();
        let mut command = self.run_command(run);
        finish(command.args(["--rm", run.image, &name]).args(run.arguments))
    }

    fn run_detached(&self, run: &Run<'_>) -> Result<Container<'_>, EngineError> {
        let name = container_name();
        let mut command = self.run_command(run);
        if run.port.is_some() {
            command.arg("--net-host");
        }
        let log = self.directory.join("logs").join(&name);
        command.arg("--detach").arg(format!("--log-uri=file://{}", log.display()));
        // Made before the start, which may fail after the container was created.
        let container = Container::new(self, name.clone(), run.port);
        finish(command.args([run.image, &name]).args(run.arguments))?;
        Ok(container)
    }

    fn logs(&self, container: &str) -> Result<String, EngineError> {
        // A container that has written nothing has no file.
        Ok(fs::read_to_string(self.directory.join("logs").join(container)).unwrap_or_default())
    }

    fn remove(&self, container: &str) -> Result<(), EngineError> {
        // The task may have ended, and is then still listed; or it never started, and then there is none.
        let kill = finish(self.command().args(["tasks", "kill", "--signal=SIGKILL", container]));
        if kill.is_ok() {
            // `kill` does not wait, and a task that runs cannot be deleted.
            thread::sleep(Duration::from_millis(10));
        }
        // It exits with the task's own status, 137, when it has deleted it: the next step tells.
        drop(finish(self.command().args(["tasks", "delete", "--force", container])));
        finish(self.command().args(["containers", "delete", container])).map(drop)
    }
}
