//! The Node server's image in every form, made once for all tests of a run.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use floe_testkit::debian::{node_closure, node_server};
use floe_testkit::machine::hold_lock;

use crate::program::{floe, succeed};

/// What the image is called.
pub(crate) const NAME: &str = "node-server:1.0";

/// The forms, all below one folder.
pub(crate) struct SharedImages {
    folder: PathBuf,
    /// Held while the process lives: another run of the tests would write into the same folder.
    _lock: File,
}

impl SharedImages {
    /// An OCI layout with layers in gzip.
    pub(crate) fn gzip(&self) -> PathBuf {
        self.folder.join("work/gzip")
    }

    /// An OCI layout with layers in zstd.
    pub(crate) fn zstd(&self) -> PathBuf {
        self.folder.join("work/zstd")
    }

    /// An OCI archive, in gzip.
    pub(crate) fn oci_archive(&self) -> PathBuf {
        self.folder.join("work/oci.tar")
    }

    /// The archive that every engine loads, in gzip.
    pub(crate) fn docker_archive(&self) -> PathBuf {
        self.folder.join("work/docker.tar")
    }

    /// floe where two images are recorded: `recorded:2`, the server, and `node`, which runs scripts.
    pub(crate) fn floe(&self, words: &[&str]) -> Command {
        floe(&self.folder, words)
    }

    /// What `--to -` wrote.
    pub(crate) fn standard_output(&self) -> PathBuf {
        self.folder.join("work/stdout.tar")
    }
}

/// The images; the first caller builds them.
///
/// A static is never dropped, so they lie in the target directory's own temporary folder and the next run replaces
/// them.
pub(crate) fn shared_images() -> &'static SharedImages {
    static IMAGES: OnceLock<SharedImages> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("acceptance");
        std::fs::create_dir_all(&folder).expect("a folder");
        let lock = hold_lock(&folder).unwrap_or_else(|error| panic!("{error}"));
        for name in ["work", "cache", "data"] {
            match std::fs::remove_dir_all(folder.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
                _ => {}
            }
        }
        let contents = node_server_path();
        let common = ["build", &contents, "--name", "node-server", "--tag", "1.0", "--port", "3000"];
        let build = |words: &[&str]| floe(&folder, &[&common, words].concat());
        let forms = ["--to", "oci:gzip", "--to", "oci-archive:oci.tar", "--to", "docker-archive:docker.tar"];
        succeed(build(&["--compression", "gzip"]).args(forms));
        succeed(&mut build(&["--to", "oci:zstd"]));
        let stdout = File::create(folder.join("work/stdout.tar")).expect("a file");
        let status = build(&["--quiet", "--to", "-"]).stdout(stdout).status().expect("floe runs");
        assert!(status.success(), "--to -: {status}");
        succeed(&mut floe(&folder, &["build", &contents, "--name", "recorded", "--tag", "2"]));
        let node = package("nodejs");
        let program = format!("{node}/bin/node");
        let words = ["build", &node, "--name", "node", "--entrypoint", &program, "--cmd", "--version"];
        succeed(&mut floe(&folder, &words));
        SharedImages { folder, _lock: lock }
    })
}

/// The Node server's store path.
pub(crate) fn node_server_path() -> String {
    let closure = node_server().unwrap_or_else(|error| panic!("{error:?}"));
    closure.roots[0].to_str().expect("store paths are UTF-8").to_owned()
}

/// The store path of a package of the Node closure.
pub(crate) fn package(name: &str) -> String {
    let closure = node_closure().unwrap_or_else(|error| panic!("{error:?}"));
    let root = closure.root(name).unwrap_or_else(|| panic!("{name} is a root of the Node closure"));
    root.to_str().expect("store paths are UTF-8").to_owned()
}
