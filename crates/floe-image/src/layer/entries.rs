//! The nodes of a layer, written: store paths as they are walked, root trees from their description.
//!
//! Nodes come in NAR order. Of a node's metadata only what Nix keeps comes through, so that hard
//! links, the umask and the time of building leave no trace (Nix manual, "Nix Archive"; Nix
//! `posix-fs-canonicalise.cc`).

use std::io::{self, Read};

use floe_store::nar::Encoder;
use floe_store::tree::Visitor;
use floe_store::{StoreDir, StorePath};

use super::Owner;
use super::root_tree::{RootEntry, RootNode};
use super::stream::{Stopped, Stream};
use super::tar::{self, Entry, Node};

/// The store directory and its parents must let a user of the image add to them.
const PARENT_MODE: u32 = 0o755;

/// Nix takes the right to write from everyone.
const DIRECTORY_MODE: u32 = 0o555;
const EXECUTABLE_MODE: u32 = 0o555;
const FILE_MODE: u32 = 0o444;

/// Linux gives every symlink this mode.
const SYMLINK_MODE: u32 = 0o777;

/// Writes the store directory with its parents: `nix/`, `nix/store/`.
pub(super) fn write_store_dir(
    store_dir: &StoreDir,
    owner: Owner,
    stream: &mut Stream<'_>,
) -> Result<(), Stopped> {
    let path = format!("{}/", &store_dir.as_str()[1..]);
    let mut header = Vec::new();
    for (slash, _) in path.match_indices('/') {
        let path = &path.as_bytes()[..=slash];
        tar::header(&Entry { path, node: Node::Directory, mode: PARENT_MODE, owner }, &mut header);
    }
    stream.write(&header)
}

/// Writes a node that stands outside the store.
pub(super) fn write_root_entry(entry: &RootEntry, stream: &mut Stream<'_>) -> Result<(), Stopped> {
    let RootEntry { path, mode, owner, node } = entry;
    let (path, node, content) = match node {
        RootNode::Directory => (format!("{path}/"), Node::Directory, &[][..]),
        RootNode::File(content) => (path.clone(), Node::File(content.len() as u64), content.as_slice()),
        RootNode::Symlink(target) => (path.clone(), Node::Symlink(target.as_bytes()), &[][..]),
    };
    let mut header = Vec::new();
    tar::header(&Entry { path: path.as_bytes(), node, mode: *mode, owner: *owner }, &mut header);
    stream.write(&header)?;
    stream.write(content)?;
    stream.write(tar::padding(content.len() as u64))
}

/// Writes a store path's nodes into the tar, and their NAR beside it.
pub(super) struct StoreNodes<'a, 'stream> {
    stream: &'a mut Stream<'stream>,
    encoder: Encoder,
    owner: Owner,
    /// The current node's path in the tar. Invariant: begins with the store path's own.
    path: Vec<u8>,
    store_path_length: usize,
    header: Vec<u8>,
}

impl<'a, 'stream> StoreNodes<'a, 'stream> {
    /// Begins one store path.
    pub(super) fn new(
        store_dir: &StoreDir,
        store_path: &StorePath,
        owner: Owner,
        stream: &'a mut Stream<'stream>,
    ) -> Self {
        let path = store_dir.full_path(store_path).into_bytes().split_off(1);
        let store_path_length = path.len();
        Self { stream, encoder: Encoder::new(), owner, path, store_path_length, header: Vec::new() }
    }

    fn write_header(&mut self, relative: &[u8], node: Node<'_>, mode: u32) -> Result<(), Stopped> {
        self.path.truncate(self.store_path_length);
        if !relative.is_empty() {
            self.path.push(b'/');
            self.path.extend_from_slice(relative);
        }
        if matches!(node, Node::Directory) {
            self.path.push(b'/');
        }
        self.header.clear();
        tar::header(&Entry { path: &self.path, node, mode, owner: self.owner }, &mut self.header);
        self.stream.write(&self.header)
    }
}

impl Visitor for StoreNodes<'_, '_> {
    fn enter_directory(&mut self, relative: &[u8]) -> io::Result<()> {
        self.encoder.enter_directory(relative, self.stream.framing());
        Ok(self.write_header(relative, Node::Directory, DIRECTORY_MODE)?)
    }

    fn leave_directory(&mut self) -> io::Result<()> {
        self.encoder.leave_directory(self.stream.framing());
        Ok(())
    }

    fn file(
        &mut self,
        relative: &[u8],
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> io::Result<()> {
        self.encoder.begin_file(relative, executable, size, self.stream.framing());
        let mode = if executable { EXECUTABLE_MODE } else { FILE_MODE };
        self.write_header(relative, Node::File(size), mode)?;
        self.stream.copy(contents, size)?;
        self.encoder.end_file(size, self.stream.framing());
        Ok(self.stream.write(tar::padding(size))?)
    }

    fn symlink(&mut self, relative: &[u8], target: &[u8]) -> io::Result<()> {
        self.encoder.symlink(relative, target, self.stream.framing());
        Ok(self.write_header(relative, Node::Symlink(target), SYMLINK_MODE)?)
    }
}
