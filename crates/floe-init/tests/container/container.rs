//! A container whose root is a directory: floe-init, busybox, and what a test puts there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use floe_testkit::engine::Engine as _;
use floe_testkit::engine::podman::Podman;
use floe_testkit::machine::{run_for_output, xtask_command};
use floe_testkit::service::program;

/// What every container here runs with: no capability, no new privileges, a root that nobody writes to, no network.
const HARDENED: &[&str] = &[
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=none",
    // No test waits for a container that hangs.
    "--timeout=120",
];

/// A root and the engine that runs it.
pub(crate) struct Container {
    podman: Arc<Podman>,
    folder: tempfile::TempDir,
}

/// What a container's first process ended with.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Container {
    /// A root with `/floe/init` and busybox for the programs that tests run.
    pub(crate) fn new() -> Self {
        let podman = Podman::shared().expect("podman: `cargo xtask install` installs it");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let container = Self { podman, folder };
        fs::set_permissions(container.root(), fs::Permissions::from_mode(0o755)).expect("a mode");
        for name in ["bin", "floe", "etc", "proc", "sys", "dev", "run", "nix", "seed", "home"] {
            fs::create_dir(container.root().join(name)).expect("a folder");
        }
        fs::copy(static_init(), container.root().join("floe/init")).expect("the static floe-init");
        let busybox = program::find("busybox").expect("busybox: `cargo xtask install` installs it");
        fs::copy(busybox, container.root().join("bin/busybox")).expect("a program");
        for name in ["sh", "env", "sleep", "kill", "id", "cat", "stty", "test", "grep", "readlink"] {
            symlink("busybox", container.root().join("bin").join(name)).expect("a link");
        }
        container
    }

    /// The root on this machine's disk.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file of the root, readable by all.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.root().join(name);
        fs::write(&file, content).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
        file
    }

    /// `podman run` with options, then the root and `/floe/init`, still without its arguments.
    pub(crate) fn command(&self, options: &[&str]) -> Command {
        let mut command = self.podman.command();
        command.args(["run", "--rm"]).args(HARDENED);
        if !options.iter().any(|option| option.starts_with("--user")) {
            command.arg("--user=1001:1001");
        }
        command.args(["--env", "PATH=/bin"]).args(options).args(["--entrypoint", "/floe/init", "--rootfs"]);
        command.arg(self.root()).stdin(Stdio::null());
        command
    }

    /// Runs `/floe/init` with arguments to its end.
    pub(crate) fn run(&self, options: &[&str], arguments: &[&str]) -> Ended {
        let output = self.command(options).args(arguments).output().expect("podman");
        Ended::of(&output)
    }

    /// Runs a script of busybox's shell as the program.
    pub(crate) fn script(&self, options: &[&str], script: &str) -> Ended {
        self.run(options, &["--", "/bin/sh", "-c", script])
    }

    /// A command of podman's that is about a container, not its root.
    pub(crate) fn podman(&self, arguments: &[&str]) -> Output {
        self.podman.command().args(arguments).output().expect("podman")
    }
}

impl Ended {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// A name that no other container of this machine has.
pub(crate) fn container_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("floe-init-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The static program, built when it is not.
fn static_init() -> PathBuf {
    let said = run_for_output(xtask_command().args(["build-init", std::env::consts::ARCH]));
    said.expect("a static floe-init").trim().into()
}
