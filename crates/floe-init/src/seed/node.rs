//! Trees of the store as they lie on a disk: looked at for the store's own modes, and removed.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// The time stamp of everything in the store, in seconds since 1970 (Nix `local-store.cc`, `mtimeStore`).
pub(super) const STORE_TIME: i64 = 1;

/// [`STORE_TIME`] as the system takes it.
pub(super) const STORE_TIMES: Timestamps = {
    let time = Timespec { tv_sec: STORE_TIME, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
};

/// The mode of a directory, and of a file that is executable, in the store.
pub(super) const EXECUTABLE: u32 = 0o555;

/// The mode of another file in the store.
pub(super) const PLAIN: u32 = 0o444;

/// Whether every node of a tree has the modes and times of the store (Nix `canonicalisePathMetaData`).
pub(super) fn is_canonical(path: &Path) -> io::Result<bool> {
    let metadata = path.symlink_metadata()?;
    let mode = metadata.mode() & 0o7777;
    let is_right = metadata.is_symlink() || mode == EXECUTABLE || metadata.is_file() && mode == PLAIN;
    if !is_right || metadata.mtime() != STORE_TIME {
        return Ok(false);
    }
    if metadata.is_dir() {
        for entry in path.read_dir()? {
            if !is_canonical(&entry?.path())? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Gives the root of a tree that was moved into the store its mode and time there.
pub(super) fn seal(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        std::fs::set_permissions(path, Permissions::from_mode(EXECUTABLE))?;
    }
    utimensat(CWD, path, &STORE_TIMES, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// Removes a tree whose directories may be read-only; nothing there is done already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let metadata = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.is_dir() {
        return std::fs::remove_file(path);
    }
    if metadata.mode() & 0o700 != 0o700 {
        std::fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    for entry in path.read_dir()? {
        remove(&entry?.path())?;
    }
    std::fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_and_removes_trees_of_the_store() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("bin")).expect("folders");
        for (name, mode) in [("bin/run", EXECUTABLE), ("text", PLAIN)] {
            let file = tree.join(name);
            std::fs::write(&file, "text").expect("a file");
            std::fs::set_permissions(&file, Permissions::from_mode(mode)).expect("a mode");
            seal(&file).expect("a file");
        }
        std::os::unix::fs::symlink("text", tree.join("link")).expect("a symlink");
        assert!(!is_canonical(&tree).expect("a look"));
        for name in ["link", "bin", ""] {
            seal(&tree.join(name)).expect("a node");
        }
        assert!(is_canonical(&tree).expect("a look"));
        std::fs::set_permissions(tree.join("text"), Permissions::from_mode(0o644)).expect("a mode");
        assert!(!is_canonical(&tree).expect("a look"));
        remove(&tree).expect("removed");
        assert!(!tree.exists());
        remove(&tree).expect("removed already");
    }
}
