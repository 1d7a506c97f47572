//! Room on the volume: bytes and inodes, counted before anything is copied.
//!
//! On a volume that is quite full every Nix command fails, the garbage collection that would make room included. So
//! some of it is kept in a ballast file, which whoever needs it deletes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use floe_store::PathInfo;
use floe_store::tree::LocalTrees;
use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::terminal::quantity;

/// Bytes that stay free for the database, its log and Nix's own small files.
const HEADROOM: u64 = 8 * 1024 * 1024;

/// Inodes that stay free for the same.
const INODE_HEADROOM: u64 = 256;

/// What is needed or left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Room {
    bytes: u64,
    inodes: u64,
}

/// Why there is no room, or none can be counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoomError {
    /// Too few bytes are free.
    #[error("{} has {} free: expected at least {} for what is to be copied", volume.display(), quantity(*free), quantity(*needed))]
    Bytes {
        /// The volume's `nix`.
        volume: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that are needed, headroom included.
        needed: u64,
    },
    /// Too few inodes are free.
    #[error("{} has {free} free inodes: expected at least {needed} for what is to be copied", volume.display())]
    Inodes {
        /// The volume's `nix`.
        volume: PathBuf,
        /// Inodes that are free.
        free: u64,
        /// Inodes that are needed, headroom included.
        needed: u64,
    },
    /// Something cannot be counted.
    #[error("cannot count {}", path.display())]
    Count {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Checks that the paths, copied, fit into the volume.
pub(super) fn check(nix: &Path, trees: &LocalTrees, missing: &[&PathInfo]) -> Result<(), RoomError> {
    let count = |source: io::Error| RoomError::Count { path: nix.to_owned(), source };
    let volume = statvfs(nix).map_err(|error| count(error.into()))?;
    let block = volume.f_frsize.max(1);
    let mut needed = Room { bytes: HEADROOM, inodes: INODE_HEADROOM };
    for info in missing {
        count_tree(&trees.location(&info.path), block, &mut needed)?;
    }
    let free = volume.f_bavail.saturating_mul(block);
    if free < needed.bytes {
        return Err(RoomError::Bytes { volume: nix.to_owned(), free, needed: needed.bytes });
    }
    // A file system that makes inodes as it goes (btrfs, NFS) says that it has none at all.
    if volume.f_files > 0 && volume.f_favail < needed.inodes {
        return Err(RoomError::Inodes {
            volume: nix.to_owned(),
            free: volume.f_favail,
            needed: needed.inodes,
        });
    }
    Ok(())
}

/// Adds what a tree takes up in blocks of the volume, without opening a file.
fn count_tree(path: &Path, block: u64, room: &mut Room) -> Result<(), RoomError> {
    let count = |source| RoomError::Count { path: path.to_owned(), source };
    let metadata = path.symlink_metadata().map_err(count)?;
    room.inodes += 1;
    room.bytes = room.bytes.saturating_add(metadata.size().next_multiple_of(block));
    if metadata.is_dir() {
        for entry in path.read_dir().map_err(count)? {
            count_tree(&entry.map_err(count)?.path(), block, room)?;
        }
    }
    Ok(())
}

/// Makes the ballast when it is not there, of `size` bytes; none for 0. A volume with too little room for it, or that
/// cannot set room aside, gets none: it is a precaution.
pub(super) fn keep_ballast(file: &Path, size: u64) {
    if size == 0 || file.exists() {
        return;
    }
    let Some(folder) = file.parent() else { return };
    let has_room = statvfs(folder)
        .is_ok_and(|volume| volume.f_bavail.saturating_mul(volume.f_frsize) > size.saturating_mul(2));
    if has_room && fill(file, size).is_err() {
        std::fs::remove_file(file).ok();
    }
}

fn fill(file: &Path, size: u64) -> io::Result<()> {
    let ballast: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    fallocate(&ballast, FallocateFlags::empty(), 0, size)?;
    Ok(())
}

/// Reads a size such as `32M`; `None` for another form.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_blocks_and_inodes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tree = folder.path().join("tree");
        std::fs::create_dir(&tree).expect("a folder");
        std::fs::write(tree.join("one"), "1").expect("a file");
        std::fs::write(tree.join("many"), vec![0; 5000]).expect("a file");
        let mut room = Room::default();
        count_tree(&tree.join("many"), 4096, &mut room).expect("a file");
        assert_eq!(room, Room { bytes: 8192, inodes: 1 });
        count_tree(&tree.join("one"), 4096, &mut room).expect("a file");
        assert_eq!(room, Room { bytes: 12288, inodes: 2 });
        count_tree(&tree, 4096, &mut room).expect("a tree");
        assert_eq!(room.inodes, 5);
    }

    #[test]
    fn reads_sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("32M", Some(32 << 20)),
            ("1G", Some(1 << 30)),
            ("", None),
            ("M", None),
            ("1T", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }
}
