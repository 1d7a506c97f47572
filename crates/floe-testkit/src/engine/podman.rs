//! podman as root, with private storage and configuration, and no daemon.
//!
//! Everything is in files that environment variables name (containers-storage.conf(5), containers.conf(5),
//! containers-registries.conf(5)), so that a plain `podman`, called by `floe` or by a test, uses this storage:
//!
//! - `runtime = "runc"`: crun refuses a machine with hybrid cgroups.
//! - `cgroup_manager = "cgroupfs"`, `events_logger = "file"`, `log_driver = "k8s-file"`: systemd may not run.
//! - `default_ulimits`: podman asks for 1,048,576 files, and without `CAP_SYS_RESOURCE` runc may not raise a limit.
//! - `static_dir` and `volume_path` where `--root` would put them: a container's monitor ends with `podman --root …
//!   container cleanup`, and with another database of containers than ours, `podman run` would wait 20 seconds in
//!   vain for the exit status in it.
//! - `network_backend = "cni"`: Debian 12 has no netavark. The default bridge is shared with the machine's other
//!   podmans, as is its database of addresses in `/var/lib/cni`; ports of containers are published on 127.0.0.1.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::interface::{container_name, finish, sorted_lines};
use super::{Container, Engine, EngineError, Run};
use crate::service::directory::Directory;
use crate::service::output::Output;
use crate::service::program;
use crate::service::shared::Shared;

/// The options of every container; see [`Run`].
const HARDENED: &[&str] =
    &["--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges"];

/// A private podman. Dropping it removes its containers, images and files.
#[derive(Debug)]
pub struct Podman {
    directory: Directory,
}

impl Podman {
    /// Makes an empty storage.
    ///
    /// # Errors
    ///
    /// [`EngineError::Missing`] or [`EngineError::Directory`]; podman itself first runs with the first command.
    pub fn start() -> Result<Self, EngineError> {
        for program in ["podman", "runc", "iptables"] {
            program::find(program)?;
        }
        let directory = Directory::new("podman")?;
        let at = |name: &str| directory.join(name).display().to_string();
        directory.write(
            "storage.conf",
            format!(
                "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
                at("root"),
                at("run")
            ),
        )?;
        directory.write(
            "containers.conf",
            format!(
                "[containers]\n\
                 default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                 log_driver = \"k8s-file\"\n\
                 [network]\n\
                 network_backend = \"cni\"\n\
                 [engine]\n\
                 cgroup_manager = \"cgroupfs\"\n\
                 events_logger = \"file\"\n\
                 runtime = \"runc\"\n\
                 static_dir = \"{}\"\n\
                 tmp_dir = \"{}\"\n\
                 volume_path = \"{}\"\n",
                at("root/libpod"),
                at("tmp"),
                at("root/volumes")
            ),
        )?;
        // No registry but the one that a test names: a short name must not reach the network.
        directory.write("registries.conf", "unqualified-search-registries = []\n")?;
        let podman = Self { directory };
        let variables: String =
            podman.environment().iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
        // The network of a container is only undone by podman itself. An unused storage is not worth its start.
        podman.directory.set_teardown(&format!(
            "{variables}test ! -d '{}' || podman rm --all --force --time 0\n",
            podman.directory.join("root/libpod").display()
        ))?;
        Ok(podman)
    }

    /// Returns the podman that the tests running now share; see [`Shared`].
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn shared() -> Result<Arc<Self>, EngineError> {
        static PODMAN: Shared<Podman> = Shared::new();
        PODMAN.or_start(Self::start)
    }

    fn run_command(&self, run: &Run<'_>) -> Command {
        let mut command = self.command();
        command.arg("run").args(HARDENED).arg("--pull=never").args(run.options);
        command
    }
}

impl Engine for Podman {
    fn name(&self) -> &'static str {
        "podman"
    }

    fn environment(&self) -> Vec<(String, String)> {
        [
            ("CONTAINERS_CONF", "containers.conf"),
            ("CONTAINERS_REGISTRIES_CONF", "registries.conf"),
            ("CONTAINERS_STORAGE_CONF", "storage.conf"),
        ]
        .map(|(name, file)| (name.to_owned(), self.directory.join(file).display().to_string()))
        .into()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command.envs(self.environment());
        command
    }

    fn load(&self, archive: &Path) -> Result<Output, EngineError> {
        finish(self.command().args(["load", "--quiet", "--input"]).arg(archive))
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
        command.args(["--detach", "--name", &name]);
        if let Some(port) = run.port {
            // podman chooses the port on the host, since it holds it from then on.
            command.arg(format!("--publish=127.0.0.1::{port}"));
        }
        finish(command.arg(run.image).args(run.arguments))?;

        // From here on the container is removed on failure too.
        let container = Container::new(self, name, None);
        if run.port.is_none() {
            return Ok(container);
        }
        let published = finish(self.command().args(["port", container.name()]))?.stdout;
        let port = published.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.ok_or_else(|| EngineError::Unreadable {
            engine: "podman",
            text: published.clone(),
            expected: "a published port",
        })?;
        Ok(container.at(port))
    }

    fn logs(&self, container: &str) -> Result<String, EngineError> {
        let output = finish(self.command().args(["logs", container]))?;
        Ok(output.stdout + &output.stderr)
    }

    fn remove(&self, container: &str) -> Result<(), EngineError> {
        finish(self.command().args(["rm", "--force", "--time=0", container])).map(drop)
    }
}
