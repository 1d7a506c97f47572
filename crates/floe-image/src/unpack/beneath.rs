//! A directory that nothing leads out of: everything is made through its handle, and no symlink is followed.
//!
//! `openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS` leaves that to the kernel (openat2(2)); where the kernel
//! or a sandbox lacks it, each directory on the way is opened by itself with `O_NOFOLLOW`, which comes to the same.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    self, AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT, Uid,
    XattrFlags,
};
use rustix::io::Errno;

use super::tar_reader::Xattr;
use super::tree_path::TreePath;
use crate::layer::Owner;

/// A directory while something is made in it: its owner's alone.
const DIRECTORY_MODE: Mode = Mode::RWXU;

/// A file while it is written.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

const DIRECTORY_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The directory below which everything is made.
pub(super) struct Beneath {
    root: OwnedFd,
    /// The directory that was opened last: nodes come sorted, so many have the same parent.
    last: Option<(TreePath, OwnedFd)>,
    has_openat2: bool,
}

/// The metadata of a node, as far as it is kept.
pub(super) struct Metadata {
    pub(super) mode: u32,
    /// `None`: that of whoever extracts.
    pub(super) owner: Option<Owner>,
    pub(super) modified: i64,
    pub(super) xattrs: Vec<Xattr>,
}

impl Beneath {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let root = fs::open(directory, DIRECTORY_FLAGS, Mode::empty())?;
        Ok(Self { root, last: None, has_openat2: true })
    }

    pub(super) fn make_directory(&mut self, path: &TreePath) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        Ok(fs::mkdirat(parent, name, DIRECTORY_MODE)?)
    }

    /// A new file to be written; what stands there already is an error.
    pub(super) fn make_file(&mut self, path: &TreePath) -> io::Result<File> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(parent, name, flags, FILE_MODE)?))
    }

    pub(super) fn make_symlink(
        &mut self,
        path: &TreePath,
        target: &[u8],
        metadata: &Metadata,
    ) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        fs::symlinkat(target, parent, name)?;
        set_owner(parent, name, metadata.owner)?;
        Ok(fs::utimensat(parent, name, &times(metadata.modified), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Another name of a file that was made here.
    pub(super) fn make_hard_link(&mut self, existing: &TreePath, path: &TreePath) -> io::Result<()> {
        let from = self.directory(&existing.parent().unwrap_or_default())?;
        let (parent, name) = self.parent(path)?;
        Ok(fs::linkat(from, existing.name(), parent, name, AtFlags::empty())?)
    }

    /// A device or named pipe; only root may make devices.
    pub(super) fn make_device(
        &mut self,
        path: &TreePath,
        kind: FileType,
        (major, minor): (u32, u32),
        metadata: &Metadata,
    ) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        fs::mknodat(parent, name, kind, FILE_MODE, fs::makedev(major, minor))?;
        // A device must not be opened to change it; nobody else can put another node in its place here.
        set_owner(parent, name, metadata.owner)?;
        fs::chmodat(parent, name, Mode::from_raw_mode(metadata.mode), AtFlags::empty())?;
        Ok(fs::utimensat(parent, name, &times(metadata.modified), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Gives a directory its final metadata, after which nothing more can be made in it for certain.
    pub(super) fn finish_directory(&mut self, path: &TreePath, metadata: &Metadata) -> io::Result<()> {
        let directory = self.directory(path)?;
        set_metadata(directory.as_fd(), metadata)
    }

    /// The directory that holds a path, and the path's name in it.
    fn parent<'path>(&mut self, path: &'path TreePath) -> io::Result<(BorrowedFd<'_>, &'path [u8])> {
        let parent = path.parent().unwrap_or_default();
        if self.last.as_ref().is_none_or(|(last, _)| *last != parent) {
            self.last = Some((parent.clone(), self.directory(&parent)?));
        }
        let directory =
            self.last.as_ref().map_or_else(|| self.root.as_fd(), |(_, directory)| directory.as_fd());
        Ok((directory, path.name()))
    }

    fn directory(&mut self, path: &TreePath) -> io::Result<OwnedFd> {
        if path.is_root() {
            return self.root.try_clone();
        }
        if self.has_openat2 {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
            match fs::openat2(&self.root, path.as_bytes(), DIRECTORY_FLAGS, Mode::empty(), resolve) {
                // Old kernels do not know the call, and old sandboxes forbid what they do not know.
                Err(Errno::NOSYS | Errno::PERM) => self.has_openat2 = false,
                outcome => return Ok(outcome?),
            }
        }
        self.walk(path)
    }

    fn walk(&self, path: &TreePath) -> io::Result<OwnedFd> {
        let mut directory = self.root.try_clone()?;
        for part in path.parts() {
            directory = fs::openat(&directory, part, DIRECTORY_FLAGS, Mode::empty())?;
        }
        Ok(directory)
    }
}

/// Sets what an open node is to have. The owner comes before the mode, since a change of owner takes set-user-ID away.
pub(super) fn set_metadata(node: BorrowedFd<'_>, metadata: &Metadata) -> io::Result<()> {
    if let Some(Owner { uid, gid }) = metadata.owner {
        fs::fchown(node, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    for Xattr { name, value } in &metadata.xattrs {
        fs::fsetxattr(node, name.as_slice(), value, XattrFlags::empty())?;
    }
    fs::fchmod(node, Mode::from_raw_mode(metadata.mode))?;
    Ok(fs::futimens(node, &times(metadata.modified))?)
}

/// Sets the owner of what cannot be opened to be changed: a symlink, a device.
fn set_owner(parent: BorrowedFd<'_>, name: &[u8], owner: Option<Owner>) -> io::Result<()> {
    let Some(Owner { uid, gid }) = owner else { return Ok(()) };
    let (user, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    Ok(fs::chownat(parent, name, user, group, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times(modified: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: modified, tv_nsec: 0 },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Whoever else may write to the directory cannot lead floe out of it.
    #[test]
    fn follows_no_symlink_with_and_without_openat2() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inside = folder.path().join("inside");
        std::fs::create_dir_all(inside.join("real")).expect("folders");
        symlink("..", inside.join("up")).expect("a link");
        symlink("real", inside.join("along")).expect("a link");
        symlink(folder.path(), inside.join("away")).expect("a link");
        symlink("../../outside", inside.join("real/file")).expect("a link");
        for has_openat2 in [true, false] {
            let mut beneath = Beneath { has_openat2, ..Beneath::open(&inside).expect("it opens") };
            for path in ["up/file", "along/file", "away/file", "real/file", "missing/file"] {
                let path = TreePath::parse(path.as_bytes()).expect("a path");
                assert!(beneath.make_file(&path).is_err(), "{path}, openat2: {has_openat2}");
                assert!(beneath.make_directory(&path).is_err(), "{path}, openat2: {has_openat2}");
            }
            let fine = TreePath::parse(format!("real/fine-{has_openat2}").as_bytes()).expect("a path");
            assert!(beneath.make_file(&fine).is_ok());
        }
        assert!(!folder.path().join("file").exists() && !folder.path().join("outside").exists());
    }
}
