//! `cargo xtask build-init`: the static `floe-init` that goes into images, for each architecture, with its size.
//!
//! On this machine's architecture it is built by the workspace's toolchain. For the other one Debian 12 has what is
//! needed: `rustc-web`, which is Rust 1.85 or newer, a cross compiler, and the standard library for arm64, which is unpacked
//! into the cache beside the one for this machine, so that nothing is installed for a foreign architecture.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use floe_testkit::machine::{AptRoot, Release, cache_directory, hold_lock};

use crate::steps::{cargo, stream, workspace};
use crate::terminal::{answer, say};

/// The largest program that may go into every image, in bytes.
const LARGEST: u64 = 2_000_000;

/// Debian's compiler, which the workspace's toolchain never is.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// What SQLite is built without: Nix's database needs tables, indexes, a trigger and a log.
const SQLITE_OPTIONS: &[&str] = &[
    "-USQLITE_ENABLE_FTS3",
    "-USQLITE_ENABLE_FTS3_PARENTHESIS",
    "-USQLITE_ENABLE_FTS5",
    "-USQLITE_ENABLE_RTREE",
    "-USQLITE_ENABLE_STAT4",
    "-USQLITE_ENABLE_DBSTAT_VTAB",
    "-USQLITE_ENABLE_JSON1",
    "-USQLITE_ENABLE_API_ARMOR",
    "-USQLITE_ENABLE_LOAD_EXTENSION",
    "-USQLITE_SOUNDEX",
    "-DSQLITE_OMIT_LOAD_EXTENSION",
    "-DSQLITE_OMIT_JSON",
    "-DSQLITE_OMIT_DEPRECATED",
    "-DSQLITE_OMIT_SHARED_CACHE",
    "-DSQLITE_OMIT_AUTHORIZATION",
    "-DSQLITE_OMIT_PROGRESS_CALLBACK",
    "-DSQLITE_OMIT_COMPLETE",
    "-DSQLITE_OMIT_GET_TABLE",
    "-DSQLITE_OMIT_TCL_VARIABLE",
    "-DSQLITE_OMIT_LOCALTIME",
    "-DSQLITE_OMIT_AUTOMATIC_INDEX",
    "-DSQLITE_OMIT_BETWEEN_OPTIMIZATION",
    "-DSQLITE_OMIT_COMPILEOPTION_DIAGS",
    "-DSQLITE_OMIT_INTROSPECTION_PRAGMAS",
    "-DSQLITE_OMIT_LIKE_OPTIMIZATION",
    "-DSQLITE_OMIT_LOOKASIDE",
    "-DSQLITE_OMIT_OR_OPTIMIZATION",
    "-DSQLITE_OMIT_QUICKBALANCE",
    "-DSQLITE_OMIT_SCHEMA_VERSION_PRAGMAS",
    "-DSQLITE_OMIT_TRUNCATE_OPTIMIZATION",
    "-DSQLITE_OMIT_XFER_OPT",
    "-DSQLITE_UNTESTABLE",
];

/// Lets the linker leave out what is not called, and makes no tables for unwinding, which C code here never does.
const C_FLAGS: &str = "-Oz -fno-pic -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables";

/// Leaves out the gaps between segments, which only paging in parts would need.
const LINKER_FLAGS: &str = "-C link-arg=-Wl,-z,noseparate-code";

/// What the workspace's own linker, LLD, can do beside that: functions of the same code become one.
const LLD_FLAGS: &str = "-C link-arg=-Wl,--icf=all";

/// An architecture, by OCI's name and by Rust's.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Architecture {
    rust: &'static str,
    debian: &'static str,
}

const ARCHITECTURES: [Architecture; 2] =
    [Architecture { rust: "x86_64", debian: "amd64" }, Architecture { rust: "aarch64", debian: "arm64" }];

/// Builds for the named architectures, for all when none is named; prints each program's path and size.
pub(crate) fn run(names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !ARCHITECTURES.iter().any(|known| known.rust == **name)) {
        bail!("unknown architecture {unknown}: expected x86_64 or aarch64");
    }
    for architecture in ARCHITECTURES.iter().filter(|known| names.is_empty() || names.contains(&known.rust)) {
        let program = build(*architecture)?;
        let size = fs::metadata(&program)?.size();
        say(&format!("floe-init for {}: {size} bytes, static", architecture.rust));
        check(&program, size)?;
        answer(&program.display().to_string());
    }
    Ok(())
}

/// Builds one and returns where it is kept.
fn build(architecture: Architecture) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", architecture.rust);
    let variable = |prefix: &str| format!("{prefix}_{}", target.replace('-', "_"));
    // A directory of its own: the options would otherwise rebuild everything else each time.
    let directory = workspace().join("target/init");
    let mut flags = format!("-C target-feature=+crt-static -C relocation-model=static {LINKER_FLAGS}");
    let mut command =
        cargo(["build", "--package", "floe-init", "--profile", "init", "--locked", "--quiet", "--target"]);
    command.arg(&target).arg("--target-dir").arg(&directory);
    command.env("LIBSQLITE3_FLAGS", SQLITE_OPTIONS.join(" ")).env(variable("CFLAGS"), C_FLAGS);
    if architecture.rust != std::env::consts::ARCH {
        let libraries = foreign_libraries(architecture)?;
        flags = format!("{flags} --sysroot={}", libraries.display());
        let linker = format!("{}-linux-gnu-gcc", architecture.rust);
        command.env("CARGO_BUILD_RUSTC", DEBIAN_RUSTC).env(variable("CC"), &linker);
        command.env(format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_")), linker);
    } else {
        flags = format!("{flags} {LLD_FLAGS}");
    }
    stream(command.env("RUSTFLAGS", flags))?;
    Ok(directory.join(target).join("init/floe-init"))
}

/// A directory that a compiler takes for its own: this machine's standard library, which build scripts need, and the
/// one of another architecture, of the same version.
fn foreign_libraries(architecture: Architecture) -> Result<PathBuf> {
    let query = ["--show", "--showformat", "${Version}", "rustc-web"];
    let output = Command::new("dpkg-query").args(query).output().context("cannot start dpkg-query")?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success() && !version.is_empty(),
        "Debian's package rustc-web is not installed: `cargo xtask install` installs it"
    );
    let directory = cache_directory(&format!("rust/{}-{version}", architecture.debian))?;
    let _lock = hold_lock(&directory)?;
    let libraries = directory.join("sysroot/lib/rustlib");
    let foreign = format!("{}-unknown-linux-gnu", architecture.rust);
    if !libraries.join(&foreign).exists() {
        let release = Release {
            suite: "bookworm".to_owned(),
            has_updates: true,
            architecture: architecture.debian.to_owned(),
        };
        let apt = AptRoot::open(&directory.join("apt"), release)?;
        for archive in apt.download(&[("libstd-rust-web-dev", &version, architecture.debian)])? {
            stream(Command::new("dpkg-deb").arg("-x").args([&archive, &directory]))?;
        }
        fs::create_dir_all(&libraries)?;
        let native = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        link(&Path::new("/usr/lib/rustlib").join(&native), &libraries.join(&native))?;
        // The last, since its presence says that all is there.
        link(&directory.join("usr/lib/rustlib").join(&foreign), &libraries.join(&foreign))?;
    }
    Ok(directory.join("sysroot"))
}

fn link(target: &Path, link: &Path) -> Result<()> {
    if link.is_symlink() {
        fs::remove_file(link)?;
    }
    symlink(target, link).with_context(|| format!("cannot link {}", link.display()))
}

/// Refuses a program that is large or needs a loader.
fn check(program: &Path, size: u64) -> Result<()> {
    ensure!(size <= LARGEST, "{} has {size} bytes: expected at most {LARGEST}", program.display());
    let output = Command::new("readelf").args(["--program-headers", "--wide"]).arg(program).output();
    let output = output.context("cannot start readelf: install Debian's package binutils")?;
    let headers = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && headers.contains("LOAD") && !headers.contains("INTERP"),
        "{} is not static: expected no program interpreter",
        program.display()
    );
    Ok(())
}
