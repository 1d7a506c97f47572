//! Trees that lie on this disk: a store, and plain directories that stand in for store paths.
//!
//! Each node is opened relative to its parent's handle and never through a symlink, so a tree that
//! changes underneath can lead to an error but not outside the tree.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsString};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RawMode};
use rustix::io::Errno;

use super::{NodeKind, TreeSource, Visitor, WalkError};
use crate::StorePath;

/// Directories deeper than this are refused: each level holds one open file.
const DEEPEST_DIRECTORY: usize = 256;

/// Store paths below one physical directory, with plain directories in place of some.
#[derive(Clone, Debug)]
pub struct LocalTrees {
    store: PathBuf,
    added: BTreeMap<StorePath, PathBuf>,
}

impl LocalTrees {
    /// Reads trees from the physical store directory, such as `/nix/store` or `/mnt/nix/store`.
    #[must_use]
    pub fn new(store: impl Into<PathBuf>) -> Self {
        Self { store: store.into(), added: BTreeMap::new() }
    }

    /// Reads one store path from another place on this disk.
    pub fn add(&mut self, path: StorePath, location: PathBuf) {
        self.added.insert(path, location);
    }

    /// Where a store path's files lie on this disk.
    #[must_use]
    pub fn location(&self, path: &StorePath) -> PathBuf {
        self.added.get(path).cloned().unwrap_or_else(|| self.store.join(path.as_str()))
    }
}

impl TreeSource for LocalTrees {
    fn walk(&self, path: &StorePath, visitor: &mut dyn Visitor) -> Result<(), WalkError> {
        walk_location(&self.location(path), visitor)
    }

    fn node_kind(&self, path: &StorePath, relative: &str) -> Result<Option<NodeKind>, WalkError> {
        let location = self.location(path).join(relative);
        let stat = match rustix::fs::lstat(&location) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(WalkError::Unreadable { path: location, source: error.into() }),
        };
        node_kind_of(stat.st_mode).map(Some).ok_or(WalkError::UnsupportedNode { path: location })
    }

    fn children(&self, path: &StorePath, relative: &str) -> Result<Vec<(OsString, NodeKind)>, WalkError> {
        let location = self.location(path).join(relative);
        let unreadable = |source: io::Error| WalkError::Unreadable { path: location.clone(), source };
        let mut children = Vec::new();
        for entry in std::fs::read_dir(&location).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let mode = entry.metadata().map_err(unreadable)?.mode();
            let kind = node_kind_of(mode).ok_or_else(|| WalkError::UnsupportedNode { path: entry.path() })?;
            children.push((entry.file_name(), kind));
        }
        children.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        Ok(children)
    }

    fn link_target(&self, path: &StorePath, relative: &str) -> Result<PathBuf, WalkError> {
        let location = self.location(path).join(relative);
        std::fs::read_link(&location).map_err(|source| WalkError::Unreadable { path: location, source })
    }
}

/// The kind of node that a file's mode tells, or `None` for kinds that NAR does not know.
fn node_kind_of(mode: RawMode) -> Option<NodeKind> {
    match FileType::from_raw_mode(mode) {
        FileType::Directory => Some(NodeKind::Directory),
        FileType::RegularFile => Some(NodeKind::Regular { executable: is_executable(mode) }),
        FileType::Symlink => Some(NodeKind::Symlink),
        _ => None,
    }
}

/// Shows what lies at a path of this disk to a visitor; a symlink there is shown, not followed.
pub(crate) fn walk_location(location: &Path, visitor: &mut dyn Visitor) -> Result<(), WalkError> {
    let mut walk = Walk { location: location.to_owned(), relative: Vec::new(), visitor };
    match lstat_kind(rustix::fs::CWD, location) {
        Ok(kind) => walk.node(rustix::fs::CWD, location, kind, 0),
        Err(Errno::NOENT) => Err(WalkError::Missing { path: location.to_owned() }),
        Err(error) => Err(walk.unreadable(error)),
    }
}

fn lstat_kind(parent: impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> Result<FileType, Errno> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

/// Nix calls a file executable when its owner may execute it (`archive.cc`, `dump`).
fn is_executable(mode: RawMode) -> bool {
    mode & 0o100 != 0
}

/// One walk: where it stands and whom it tells.
struct Walk<'a> {
    location: PathBuf,
    /// The current node below the store path, without a leading slash.
    relative: Vec<u8>,
    visitor: &'a mut dyn Visitor,
}

impl Walk<'_> {
    fn node(
        &mut self,
        parent: impl std::os::fd::AsFd,
        name: impl rustix::path::Arg + Copy,
        kind: FileType,
        depth: usize,
    ) -> Result<(), WalkError> {
        match kind {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = rustix::fs::openat(parent, name, flags, Mode::empty())
                    .map_err(|error| self.unreadable(error))?;
                self.directory(&directory, depth)
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(parent, name, flags, Mode::empty())
                    .map_err(|error| self.unreadable(error))?;
                self.file(file)
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new())
                    .map_err(|error| self.unreadable(error))?;
                let outcome = self.visitor.symlink(&self.relative, target.as_bytes());
                outcome.map_err(|source| self.refused(source))
            }
            _ => Err(WalkError::UnsupportedNode { path: self.path() }),
        }
    }

    fn directory(&mut self, directory: &OwnedFd, depth: usize) -> Result<(), WalkError> {
        if depth > DEEPEST_DIRECTORY {
            let source = io::Error::other(format!("directories are nested deeper than {DEEPEST_DIRECTORY}"));
            return Err(WalkError::Unreadable { path: self.path(), source });
        }
        let outcome = self.visitor.enter_directory(&self.relative);
        outcome.map_err(|source| self.refused(source))?;
        for (name, kind) in self.sorted_entries(directory)? {
            let parent_length = self.relative.len();
            if parent_length > 0 {
                self.relative.push(b'/');
            }
            self.relative.extend_from_slice(name.to_bytes());
            self.node(directory, name.as_c_str(), kind, depth + 1)?;
            self.relative.truncate(parent_length);
        }
        let outcome = self.visitor.leave_directory();
        outcome.map_err(|source| self.refused(source))
    }

    fn sorted_entries(&self, directory: &OwnedFd) -> Result<Vec<(std::ffi::CString, FileType)>, WalkError> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(directory).map_err(|error| self.unreadable(error))? {
            let entry = entry.map_err(|error| self.unreadable(error))?;
            if is_dot(entry.file_name()) {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems leave the kind out of the directory's listing.
                FileType::Unknown => {
                    lstat_kind(directory, entry.file_name()).map_err(|error| self.unreadable(error))?
                }
                kind => kind,
            };
            entries.push((entry.file_name().to_owned(), kind));
        }
        entries.sort_unstable_by(|left, right| left.0.as_bytes().cmp(right.0.as_bytes()));
        Ok(entries)
    }

    fn file(&mut self, file: OwnedFd) -> Result<(), WalkError> {
        let stat = rustix::fs::fstat(&file).map_err(|error| self.unreadable(error))?;
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let file = std::fs::File::from(file);
        let mut contents = Contents { file, read: 0, size, ended_early: false, failed: None };
        let outcome = self.visitor.file(&self.relative, is_executable(stat.st_mode), size, &mut contents);
        let Contents { read, ended_early, failed, .. } = contents;
        if let Some(source) = failed {
            return Err(WalkError::Unreadable { path: self.path(), source });
        }
        // A visitor that gives up before the end has its own reason.
        if ended_early || outcome.is_ok() && read != size {
            return Err(WalkError::Changed { path: self.path(), expected: size, found: read });
        }
        outcome.map_err(|source| self.refused(source))
    }

    fn path(&self) -> PathBuf {
        if self.relative.is_empty() {
            return self.location.clone();
        }
        self.location.join(Path::new(std::ffi::OsStr::from_bytes(&self.relative)))
    }

    fn unreadable(&self, error: Errno) -> WalkError {
        WalkError::Unreadable { path: self.path(), source: error.into() }
    }

    fn refused(&self, source: io::Error) -> WalkError {
        WalkError::Visitor { path: self.path(), source }
    }
}

fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// A file's bytes, cut at the size that was announced; remembers how many there were and what failed,
/// so that a reading error is not taken for the visitor's.
struct Contents {
    file: std::fs::File,
    read: u64,
    size: u64,
    /// Whether the file ended before `size` bytes.
    ended_early: bool,
    failed: Option<io::Error>,
}

impl Read for Contents {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.read);
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        match self.file.read(&mut buffer[..room]) {
            Ok(count) => {
                self.ended_early |= count == 0;
                self.read += count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let copy = io::Error::new(error.kind(), error.to_string());
                self.failed = Some(error);
                Err(copy)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nar;

    fn path() -> StorePath {
        "00000000000000000000000000000000-tree".parse().expect("a well-formed path")
    }

    #[test]
    fn shows_nodes_in_nar_order_whatever_the_directory_order() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tree = folder.path().join(path().as_str());
        std::fs::create_dir_all(tree.join("b/deep")).expect("a folder");
        for name in ["b/z", "b.txt", "a", "b/deep/x"] {
            std::fs::write(tree.join(name), name).expect("a file");
        }
        std::os::unix::fs::symlink("../a", tree.join("b/link")).expect("a symlink");
        let mut seen = Listing::default();
        LocalTrees::new(folder.path()).walk(&path(), &mut seen).expect("a readable tree");
        assert_eq!(seen.0, ["/", "a", "b/", "b/deep/", "b/deep/x", "b/link -> ../a", "b/z", "b.txt"]);
    }

    #[test]
    fn tells_missing_paths_from_unsupported_nodes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let trees = LocalTrees::new(folder.path());
        assert!(matches!(nar::hash_tree(&trees, &path()), Err(WalkError::Missing { .. })));
        let _socket =
            std::os::unix::net::UnixListener::bind(folder.path().join(path().as_str())).expect("a socket");
        assert!(matches!(nar::hash_tree(&trees, &path()), Err(WalkError::UnsupportedNode { .. })));
    }

    #[test]
    fn looks_at_nodes_without_opening_them() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join(path().as_str()).join("etc")).expect("a folder");
        let trees = LocalTrees::new(folder.path());
        assert_eq!(trees.node_kind(&path(), "etc").expect("a look"), Some(NodeKind::Directory));
        assert_eq!(trees.node_kind(&path(), "etc/none").expect("a look"), None);
    }

    #[test]
    fn passes_on_why_a_visitor_gives_up() {
        struct GivesUp;

        impl Visitor for GivesUp {
            fn enter_directory(&mut self, _: &[u8]) -> io::Result<()> {
                Ok(())
            }

            fn leave_directory(&mut self) -> io::Result<()> {
                Ok(())
            }

            fn file(&mut self, _: &[u8], _: bool, _: u64, _: &mut dyn Read) -> io::Result<()> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn symlink(&mut self, _: &[u8], _: &[u8]) -> io::Result<()> {
                Ok(())
            }
        }

        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(path().as_str()), "unread").expect("a file");
        let walked = LocalTrees::new(folder.path()).walk(&path(), &mut GivesUp);
        assert!(matches!(walked, Err(WalkError::Visitor { source, .. })
            if source.kind() == io::ErrorKind::StorageFull));
    }

    #[derive(Default)]
    struct Listing(Vec<String>);

    impl Visitor for Listing {
        fn enter_directory(&mut self, relative: &[u8]) -> io::Result<()> {
            self.0.push(format!("{}/", String::from_utf8_lossy(relative)));
            Ok(())
        }

        fn leave_directory(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn file(&mut self, relative: &[u8], _: bool, _: u64, contents: &mut dyn Read) -> io::Result<()> {
            io::copy(contents, &mut io::sink())?;
            self.0.push(String::from_utf8_lossy(relative).into_owned());
            Ok(())
        }

        fn symlink(&mut self, relative: &[u8], target: &[u8]) -> io::Result<()> {
            let (relative, target) = (String::from_utf8_lossy(relative), String::from_utf8_lossy(target));
            self.0.push(format!("{relative} -> {target}"));
            Ok(())
        }
    }
}
