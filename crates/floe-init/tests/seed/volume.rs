//! Volumes, the program that seeds them, and what must hold on them afterwards.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use floe_store::write::database::{JournalMode, StoreDatabase};
use floe_store::{StoreDir, nar};
use floe_testkit::machine::nix_command;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::image::Image;

/// A volume's root; dropping it removes it.
pub(crate) struct Volume {
    folder: tempfile::TempDir,
    is_mount: bool,
}

impl Volume {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        Self { folder, is_mount: false }
    }

    /// A volume that is a file system in memory with the options of tmpfs(5), such as `size=1m`: it can be full, and
    /// no other load of the machine's disk slows it down.
    pub(crate) fn in_memory(options: &str) -> Self {
        let mut volume = Self::new();
        let options = CString::new(format!("mode=0755,{options}")).expect("no NUL");
        mount("tmpfs", volume.root(), "tmpfs", MountFlags::empty(), Some(options.as_c_str())).expect("root");
        volume.is_mount = true;
        volume
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn nix(&self) -> PathBuf {
        self.root().join("nix")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.nix().join("store")
    }

    /// `floe-init seed` from an image to this volume.
    pub(crate) fn seeder(&self, image: &Image) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floe-init"));
        command.env_clear().env("USER", "code").arg("seed");
        command.arg("--from").arg(image.root()).arg("--to").arg(self.root());
        command.args(["--ballast", "0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Seeds, and fails the test when that fails; returns what was said.
    pub(crate) fn seed(&self, image: &Image) -> String {
        succeed(&mut self.seeder(image))
    }

    /// Runs `nix-store` as the store's owner, and fails the test when that fails; returns its answer.
    pub(crate) fn nix_store_as(&self, uid: u32, gid: u32, arguments: &[&str]) -> String {
        let mut command = nix_command("nix-store");
        command.arg("--store").arg(self.root()).args(arguments).env("HOME", "/homeless-shelter");
        command.env("USER", "code");
        let output = command.uid(uid).gid(gid).output();
        let output = output.expect("nix-store: `cargo xtask install` installs it");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "nix-store {arguments:?}: {}\n{said}", output.status);
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// What holds at every moment: the database is sound, and each path that it calls valid is there, whole.
    pub(crate) fn check(&self) -> usize {
        let file = self.nix().join("var/nix/db/db.sqlite");
        if !file.exists() {
            return 0;
        }
        let database =
            StoreDatabase::open(&file, JournalMode::Wal, Duration::from_secs(60)).expect("a database");
        database.check().expect("a sound database");
        let valid = database.valid_paths(&StoreDir::default()).expect("rows");
        for (path, expected) in &valid {
            let (found, _) =
                nar::hash_location(&self.store().join(path.as_str())).expect("a path that is valid");
            assert_eq!(found, *expected, "{path} is valid with other bytes");
        }
        valid.len()
    }

    /// What holds after a seed: every path of the image is valid, and Nix finds nothing wrong.
    pub(crate) fn check_seeded(&self, image: &Image, uid: u32, gid: u32) {
        self.nix_store_as(uid, gid, &["--verify", "--check-contents"]);
        let full_paths = image.infos.iter().map(|info| StoreDir::default().full_path(&info.path));
        let full_paths: Vec<String> = full_paths.collect();
        let arguments = std::iter::once("--check-validity").chain(full_paths.iter().map(String::as_str));
        self.nix_store_as(uid, gid, &arguments.collect::<Vec<_>>());
        let left: Vec<_> = fs::read_dir(self.nix().join(".floe/tmp")).expect("a folder").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.is_mount {
            unmount(self.root(), UnmountFlags::DETACH).expect("a mount");
        }
    }
}

/// Runs a command that must succeed; returns its standard error.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("a program that starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

/// Runs a command that must fail; returns its exit code and its standard error.
pub(crate) fn fail(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("a program that starts");
    assert!(!output.status.success(), "{command:?} succeeded");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Stops a child for a while, and returns when it stands still.
pub(crate) fn pause(child: &Child) {
    signal(child, rustix::process::Signal::STOP);
    eventually("the stop", || {
        // The state follows the name, which is in brackets (proc(5)).
        fs::read_to_string(format!("/proc/{}/stat", child.id())).is_ok_and(|stat| stat.contains(") T "))
    });
}

/// Sends a signal to a child that has not been waited for.
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(id, signal).expect("a child that is there");
}

/// Waits until a condition holds; gives up after a minute, which no machine needs.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..30_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("{what} never happened");
}
