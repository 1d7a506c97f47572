//! floe's flake as a release has it: `flake.nix`, `nix/`, and a static floe for each system in `prebuilt/`.
//!
//! The program is linked from the libraries that this test was built with, which takes a second: a sandbox holds no C
//! library outside of the store, so the builder of images is static.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use floe_testkit::debian;
use floe_testkit::machine::{hold_lock, nix_command, run};

/// What a release takes from the checkout.
const PARTS: [&str; 3] = ["flake.nix", "Cargo.toml", "nix"];

/// The flake's directory; made once for all tests of a run.
///
/// Its program for aarch64-linux is this machine's: with Nix's `extra-platforms`, the machine plays a builder of that system,
/// and images are packed by the same code.
pub(crate) fn floe_flake() -> &'static Path {
    static FLAKE: OnceLock<PathBuf> = OnceLock::new();
    FLAKE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flake");
        fs::create_dir_all(&folder).expect("a folder");
        let _lock = hold_lock(&folder).unwrap_or_else(|error| panic!("{error}"));
        // Under a new name, so that a test of another process never sees it half-written.
        let made = tempfile::Builder::new().prefix("floe-").tempdir_in(&folder).expect("a folder");
        for part in PARTS {
            copy(&workspace().join(part), &made.path().join(part));
        }
        let program = static_floe(&folder);
        for system in ["x86_64-linux", "aarch64-linux"] {
            copy(&program, &made.path().join("prebuilt").join(system).join("floe"));
        }
        lock(made.path());
        let flake = folder.join("floe");
        drop(fs::remove_dir_all(&flake));
        fs::rename(made.keep(), &flake).expect("the folder is free");
        flake
    })
}

/// Locks the inputs, as a release does: the package set stands in for nixpkgs.
fn lock(flake: &Path) {
    let mut command = nix_command("nix");
    command.args(["flake", "lock", "--override-input", "nixpkgs", &flake_reference(&package_set())]);
    command.arg(flake_reference(flake));
    run(&mut command).unwrap_or_else(|error| panic!("{error}"));
}

/// The flake that stands in for nixpkgs, for both systems.
pub(crate) fn package_set() -> PathBuf {
    static FLAKE: OnceLock<PathBuf> = OnceLock::new();
    FLAKE.get_or_init(|| debian::node_22().unwrap_or_else(|error| panic!("{error:?}")).flake).clone()
}

/// A folder as an input; as a plain path, Nix would look for the repository around it.
pub(crate) fn flake_reference(folder: &Path) -> String {
    format!("path:{}", folder.display())
}

/// The checkout.
pub(crate) fn workspace() -> &'static Path {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in a folder");
    crates.parent().expect("the crates lie in the workspace")
}

/// Links floe again, without a C library to load.
fn static_floe(folder: &Path) -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_floe")).parent().expect("the program lies in a folder");
    let program = folder.join("static-floe");
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--edition=2024", "--crate-name=floe"]).arg(workspace().join("crates/floe/src/main.rs"));
    let dependencies = target.join("deps");
    command.arg(format!("--extern=floe={}", newest_library(&dependencies).display()));
    command.arg(format!("-Ldependency={}", dependencies.display()));
    command.args(["-Ctarget-feature=+crt-static", "-Cstrip=symbols", "-o"]).arg(&program);
    run(&mut command).unwrap_or_else(|error| panic!("{error}"));
    program
}

/// floe's library as it was compiled last: cargo keeps one for each set of features that was asked for.
fn newest_library(dependencies: &Path) -> PathBuf {
    let entries =
        fs::read_dir(dependencies).expect("cargo's folder").map(|entry| entry.expect("an entry").path());
    let is_library = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libfloe-") && name.ends_with(".rlib")
    };
    let compiled =
        |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).expect("a file");
    entries.filter(is_library).max_by_key(compiled).expect("cargo compiled floe's library")
}

/// Copies a file or a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
    run(Command::new("cp").arg("--recursive").arg(from).arg(to)).unwrap_or_else(|error| panic!("{error}"));
}
