//! A garbage collector root of ours: a symlink to a store path, registered so that Nix keeps the path.
//!
//! An indirect root is two links: ours, anywhere, and one in `<state>/gcroots/auto` whose name is the SHA-1 of our
//! link's path in base 32 (Nix `gc.cc`, `addIndirectRoot`). Both are written directly where that is permitted;
//! where it is not (a store of the daemon's), `nix-store` asks the daemon.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha1::{Digest as _, Sha1};

use crate::program::{self, RunNixError, StandardError};
use crate::{Store, StorePath, nix32};

/// Why a root could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum GcRootError {
    /// A link, or the directory it lies in, cannot be written.
    #[error("cannot write the garbage collector root {}", link.display())]
    Write {
        /// The link.
        link: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Something else than a symlink lies where the root belongs; it is not replaced.
    #[error("{} is there and is not a symlink: expected a garbage collector root or nothing", link.display())]
    Occupied {
        /// The link.
        link: PathBuf,
    },
    /// The link is there and Nix does not know of it, so it would keep nothing.
    #[error("cannot register the garbage collector root {}", link.display())]
    Register {
        /// The link.
        link: PathBuf,
        /// Why neither of the two ways worked.
        #[source]
        source: RunNixError,
    },
}

/// Makes `link` a root that keeps `path`, and registers it. A link that is there already is changed.
///
/// Missing directories above `link` are made. The path should be valid; Nix ignores roots of others.
///
/// # Errors
/// When something else lies at `link`, or it cannot be written or registered.
pub fn add(store: &Store, link: &Path, path: &StorePath) -> Result<(), GcRootError> {
    let link = absolute(link)?;
    let write = |source| GcRootError::Write { link: link.clone(), source };
    if let Some(parent) = link.parent() {
        std::fs::create_dir_all(parent).map_err(write)?;
    }
    if !is_symlink_or_absent(&link).map_err(write)? {
        return Err(GcRootError::Occupied { link });
    }
    // The link comes first: a registration of a link that is not there may be collected at once.
    replace_symlink(Path::new(&store.store_dir().full_path(path)), &link).map_err(write)?;
    let registration = registration(store, &link);
    match register(&link, &registration) {
        Ok(()) => Ok(()),
        Err(error) if is_refusal(&error) => register_through_nix(store, &link, path),
        Err(source) => Err(GcRootError::Write { link: registration, source }),
    }
}

/// Writes the registration; like Nix, makes `gcroots/auto` when it is a store's first.
fn register(link: &Path, registration: &Path) -> io::Result<()> {
    if let Some(auto) = registration.parent().filter(|auto| !auto.exists()) {
        std::fs::create_dir(auto)?;
    }
    replace_symlink(link, registration)
}

/// Removes a root that [`add`] made, and its registration; does nothing when it is gone already.
///
/// # Errors
/// When something else lies at `link`, or it cannot be removed.
pub fn remove(store: &Store, link: &Path) -> Result<(), GcRootError> {
    let link = absolute(link)?;
    let write = |source| GcRootError::Write { link: link.clone(), source };
    if !is_symlink_or_absent(&link).map_err(write)? {
        return Err(GcRootError::Occupied { link });
    }
    remove_file(&link).map_err(write)?;
    let registration = registration(store, &link);
    match remove_file(&registration) {
        // Nix removes registrations of links that are gone when it next collects garbage.
        Err(error) if is_refusal(&error) => Ok(()),
        outcome => outcome.map_err(|source| GcRootError::Write { link: registration, source }),
    }
}

fn absolute(link: &Path) -> Result<PathBuf, GcRootError> {
    std::path::absolute(link).map_err(|source| GcRootError::Write { link: link.to_owned(), source })
}

/// Where Nix registers the link: `gcroots/auto/<SHA-1 of the link's path>`.
fn registration(store: &Store, link: &Path) -> PathBuf {
    let name = nix32::encode(&Sha1::digest(link.as_os_str().as_encoded_bytes()));
    store.state_dir().join("gcroots/auto").join(name)
}

fn is_symlink_or_absent(link: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(link) {
        Ok(metadata) => Ok(metadata.is_symlink()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether this user may not write there, or the store keeps its state elsewhere: Nix itself knows better.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};

    matches!(error.kind(), NotFound | PermissionDenied | ReadOnlyFilesystem)
}

/// Writes a symlink in one step, so that the garbage collector never finds neither the old nor the new one.
fn replace_symlink(target: &Path, link: &Path) -> io::Result<()> {
    let mut temporary = link.file_name().map(ToOwned::to_owned).unwrap_or_default();
    temporary.push(OsString::from(format!(".floe-{}", std::process::id())));
    let temporary = link.with_file_name(temporary);
    remove_file(&temporary)?;
    symlink(target, &temporary)?;
    std::fs::rename(&temporary, link)
}

fn remove_file(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn register_through_nix(store: &Store, link: &Path, path: &StorePath) -> Result<(), GcRootError> {
    let mut command = Command::new("nix-store");
    command.args(["--realise", "--option", "substitute", "false"]);
    if let Some(argument) = store.nix_store_argument() {
        command.args(["--store", &argument]);
    }
    command.arg("--add-root").arg(link).arg("--indirect").arg(store.store_dir().full_path(path));
    program::run(&mut command, StandardError::Lines(&mut |_| {}))
        .map(drop)
        .map_err(|source| GcRootError::Register { link: link.to_owned(), source })
}
