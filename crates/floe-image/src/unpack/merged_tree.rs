//! The merged tree is what a container would see: every layer's changes applied, the lowest first (OCI image-spec v1.1,
//! layer.md, "Applying Changesets").
//!
//! A layer's whiteouts act on the layers below it alone, wherever they stand in the tar. No entry goes through a
//! symlink: one whose parent is a symlink puts a directory in the symlink's place, as docker's and podman's overlays
//! do, so a layer cannot reach through a link that another layer made.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::layer_reader::{Change, Layers, Limits, ReadLayerError, read_layer};
use super::tar_reader::{Entry, EntryKind, Xattr};
use super::tree_path::TreePath;
use crate::layer::Owner;

/// What a directory is that no layer describes, only fills.
const IMPLIED_MODE: u32 = 0o755;

/// An image's files, by path.
#[derive(Clone, Debug)]
pub struct MergedTree {
    /// Invariant: holds the root, and for each path its parent, which is a directory.
    nodes: BTreeMap<TreePath, Node>,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Permissions with set-user-ID, set-group-ID and sticky: at most `0o7777`.
    pub mode: u32,
    /// Who owns it.
    pub owner: Owner,
    /// When it was last changed, in seconds since 1970.
    pub modified: i64,
    /// The layer that put it there, counted from 0 at the bottom.
    pub layer: usize,
    /// Extended attributes, in the order of the tar.
    pub xattrs: Vec<Xattr>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its bytes.
        size: u64,
        /// Where they are. Hard links to one file share it.
        content: ContentId,
    },
    /// A symbolic link to this target, raw.
    Symlink(Vec<u8>),
    /// A character device.
    CharacterDevice {
        /// The driver.
        major: u32,
        /// The device.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// The driver.
        major: u32,
        /// The device.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// The place of a file's content: an entry of a layer's tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentId {
    pub(super) layer: usize,
    /// The entry, counted from 0.
    pub(super) number: usize,
}

/// Why layers give no tree.
#[derive(Debug, thiserror::Error)]
pub enum ReadTreeError {
    /// A layer could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
    /// The layers hold more than any image does; reading on could fill the memory.
    #[error("the layers hold more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is taken.
        limit: u64,
    },
    /// A hard link leads to something that is not there, or to a directory.
    #[error("the hard link {path} leads to {target}, which is no file of the image")]
    BrokenLink {
        /// The link.
        path: TreePath,
        /// What it names.
        target: TreePath,
    },
}

impl MergedTree {
    /// Reads every layer once and merges them. No layers give an empty root.
    ///
    /// # Errors
    /// When a layer cannot be read or is malformed, is not what the image says, or there is too much of it.
    pub fn read(layers: &Layers<'_>) -> Result<Self, ReadTreeError> {
        let mut tree = Self { nodes: BTreeMap::from([(TreePath::ROOT, implied_directory(0))]) };
        let mut budget = Budget { limits: layers.limits, nodes: 0, name_bytes: 0 };
        for (index, layer) in layers.layers.iter().enumerate() {
            let mut puts = Vec::new();
            let mut whiteouts = Vec::new();
            read_layer(layers.source, layer, layers.limits, |number, change, _content| {
                budget.spend(held_bytes(&change))?;
                match change {
                    Change::Put(entry) => puts.push((number, entry)),
                    whiteout => whiteouts.push(whiteout),
                }
                Ok::<_, ReadTreeError>(())
            })?;
            for whiteout in whiteouts {
                match whiteout {
                    Change::Remove(path) => tree.remove(&path),
                    Change::Empty(path) => tree.remove_below(&path),
                    Change::Put(_) => {}
                }
            }
            for (number, entry) in puts {
                tree.put(ContentId { layer: index, number }, entry, &mut budget)?;
            }
        }
        Ok(tree)
    }

    /// What stands at a path; symlinks are not followed.
    #[must_use]
    pub fn node(&self, path: &TreePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// A path's node and all that lies below it, parents before children, sorted by their bytes.
    pub fn subtree<'tree>(
        &'tree self,
        path: &TreePath,
    ) -> impl DoubleEndedIterator<Item = (&'tree TreePath, &'tree Node)> + use<'tree> {
        let node = self.nodes.get_key_value(path);
        let [start, end] = bounds_below(path);
        node.into_iter().chain(self.nodes.range::<[u8], _>((as_slice(&start), as_slice(&end))))
    }

    fn put(&mut self, id: ContentId, entry: Entry, budget: &mut Budget) -> Result<(), ReadTreeError> {
        let Entry { path, kind, mode, owner, modified, xattrs } = entry;
        let node = |kind| Node { kind, mode, owner, modified, layer: id.layer, xattrs };
        let node = match kind {
            EntryKind::Directory => node(NodeKind::Directory),
            EntryKind::File(size) => node(NodeKind::File { size, content: id }),
            EntryKind::Symlink(target) => node(NodeKind::Symlink(target)),
            EntryKind::CharacterDevice { major, minor } => node(NodeKind::CharacterDevice { major, minor }),
            EntryKind::BlockDevice { major, minor } => node(NodeKind::BlockDevice { major, minor }),
            EntryKind::Fifo => node(NodeKind::Fifo),
            EntryKind::HardLink(target) => match self.nodes.get(&target) {
                Some(linked) if linked.kind != NodeKind::Directory => {
                    Node { layer: id.layer, ..linked.clone() }
                }
                _ => return Err(ReadTreeError::BrokenLink { path, target }),
            },
        };
        self.make_parents(&path, id.layer, budget)?;
        // A directory keeps what is in it under another directory; anything else hides it.
        if node.kind != NodeKind::Directory {
            self.remove_below(&path);
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    fn make_parents(
        &mut self,
        path: &TreePath,
        layer: usize,
        budget: &mut Budget,
    ) -> Result<(), ReadTreeError> {
        let is_directory = |node: Option<&Node>| node.is_some_and(|node| node.kind == NodeKind::Directory);
        // A parent that is a directory lies in directories itself.
        if path.parent().is_none_or(|parent| is_directory(self.nodes.get(&parent))) {
            return Ok(());
        }
        for ancestor in path.ancestors() {
            if !is_directory(self.nodes.get(&ancestor)) {
                budget.spend(ancestor.as_bytes().len())?;
                self.nodes.insert(ancestor, implied_directory(layer));
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: &TreePath) {
        self.remove_below(path);
        self.nodes.remove(path);
    }

    fn remove_below(&mut self, path: &TreePath) {
        let [start, end] = bounds_below(path);
        let below = self.nodes.range::<[u8], _>((as_slice(&start), as_slice(&end)));
        let below: Vec<TreePath> = below.map(|(path, _)| path.clone()).collect();
        for path in below {
            self.nodes.remove(&path);
        }
    }
}

fn implied_directory(layer: usize) -> Node {
    let (kind, xattrs) = (NodeKind::Directory, Vec::new());
    Node { kind, mode: IMPLIED_MODE, owner: Owner::default(), modified: 0, layer, xattrs }
}

/// The first path below a directory and the first behind it, in the order of bytes.
fn bounds_below(path: &TreePath) -> [Bound<Vec<u8>>; 2] {
    if path.is_root() {
        return [Bound::Excluded(Vec::new()), Bound::Unbounded];
    }
    // '0' is the byte behind '/'.
    [Bound::Excluded([path.as_bytes(), b"/"].concat()), Bound::Excluded([path.as_bytes(), b"0"].concat())]
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(bytes) => Bound::Included(bytes),
        Bound::Excluded(bytes) => Bound::Excluded(bytes),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// What the layers have taken so far.
struct Budget {
    limits: Limits,
    nodes: usize,
    name_bytes: u64,
}

impl Budget {
    /// Counts a node, or a whiteout, that holds so many bytes.
    fn spend(&mut self, bytes: usize) -> Result<(), ReadTreeError> {
        let Limits { max_entries, max_name_bytes, .. } = self.limits;
        self.nodes += 1;
        self.name_bytes += bytes as u64;
        if self.nodes > max_entries {
            return Err(ReadTreeError::TooLarge { what: "files", limit: max_entries as u64 });
        }
        if self.name_bytes > max_name_bytes {
            return Err(ReadTreeError::TooLarge { what: "bytes of names", limit: max_name_bytes });
        }
        Ok(())
    }
}

/// The bytes that a change holds in memory.
fn held_bytes(change: &Change) -> usize {
    match change {
        Change::Remove(path) | Change::Empty(path) => path.as_bytes().len(),
        Change::Put(Entry { path, kind, xattrs, .. }) => {
            let target = match kind {
                EntryKind::Symlink(target) => target.len(),
                EntryKind::HardLink(target) => target.as_bytes().len(),
                _ => 0,
            };
            path.as_bytes().len() + target + xattrs.iter().map(Xattr::size).sum::<usize>()
        }
    }
}
