//! Base images for tests, as OCI layouts that umoci writes: a Debian that debootstrap installs, busybox on nothing, and
//! a root without a shell.
//!
//! As root, since files of other users are packed. Debian's takes minutes and lies in the cache; the others are made
//! anew for each test.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::{CacheError, MirrorError, ProcessError, cache_directory, debian_mirror, hold_lock, run};
use crate::service::program::{MissingProgram, find};

/// The tag of each base.
pub const TAG: &str = "1";

/// An error from making a base.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The mirror is unknown.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// A program is absent.
    #[error(transparent)]
    Missing(#[from] MissingProgram),
    /// debootstrap or umoci failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file could not be written.
    #[error("cannot make {path}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A minimal Debian 12 with `Cmd` bash: the layout `debian` in the cache. Its `/bin` is a link to `usr/bin`.
///
/// # Errors
///
/// When debootstrap cannot install it, which needs root and a mirror.
pub fn debian() -> Result<PathBuf, BaseError> {
    let directory = cache_directory("bases")?;
    let _lock = hold_lock(&directory)?;
    let layout = directory.join("debian");
    if !layout.exists() {
        let work = tempfile::tempdir_in(&directory).map_err(|source| file(&directory, source))?;
        let root = work.path().join("root");
        run(Command::new(find("debootstrap")?)
            .args(["--variant=minbase", "bookworm"])
            .arg(&root)
            .arg(debian_mirror()?))?;
        let made = work.path().join("layout");
        write_layout(&made, &root, &[("cmd", "bash"), ("env", "LANG=C.UTF-8"), ("label", "base=debian")])?;
        fs::rename(&made, &layout).map_err(|source| file(&layout, source))?;
    }
    Ok(layout)
}

/// busybox alone: a layout at `layout` with `/bin/busybox`, `/bin/sh`, and nothing else, not even accounts.
///
/// # Errors
///
/// When busybox is absent, or umoci fails.
pub fn busybox(layout: &Path) -> Result<(), BaseError> {
    let work = tempfile::tempdir().map_err(|source| file(layout, source))?;
    let bin = work.path().join("bin");
    let write = || {
        fs::create_dir(&bin)?;
        fs::copy(find("busybox").map_err(io::Error::other)?, bin.join("busybox"))?;
        symlink("busybox", bin.join("sh"))
    };
    write().map_err(|source| file(&bin, source))?;
    write_layout(layout, work.path(), &[("cmd", "/bin/sh"), ("stopsignal", "SIGQUIT")])
}

/// A root without programs, as distroless images have it: accounts, certificates, folders, and a user by name.
///
/// # Errors
///
/// When umoci fails.
pub fn distroless(layout: &Path) -> Result<(), BaseError> {
    let work = tempfile::tempdir().map_err(|source| file(layout, source))?;
    let root = work.path();
    let write = || {
        for folder in ["etc/ssl/certs", "home/nonroot", "tmp", "var"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        std::os::unix::fs::chown(root.join("home/nonroot"), Some(65_532), Some(65_532))?;
        fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), "the base's own\n")?;
        fs::write(
            root.join("etc/passwd"),
            "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
        )?;
        fs::write(root.join("etc/group"), "root:x:0:\nnonroot:x:65532:\n")?;
        symlink("../tmp", root.join("var/tmp"))
    };
    write().map_err(|source| file(root, source))?;
    let config =
        [("user", "nonroot"), ("workingdir", "/home/nonroot"), ("env", "SSL_CERT_FILE=/etc/ssl/certs/x")];
    write_layout(layout, root, &config)
}

/// Packs a root into one layer of a new layout. `config` are umoci's names of fields, without `config.`, and values.
fn write_layout(layout: &Path, root: &Path, config: &[(&str, &str)]) -> Result<(), BaseError> {
    let image = format!("{}:{TAG}", layout.display());
    let umoci = || find("umoci").map(Command::new);
    run(umoci()?.args(["init", "--layout"]).arg(layout))?;
    run(umoci()?.args(["new", "--image", &image]))?;
    run(umoci()?.args(["insert", "--image", &image]).arg(root).arg("/"))?;
    let fields = config.iter().map(|(field, value)| format!("--config.{field}={value}"));
    run(umoci()?.args(["config", "--image", &image]).args(fields))?;
    Ok(())
}

fn file(path: &Path, source: io::Error) -> BaseError {
    BaseError::File { path: path.to_owned(), source }
}
