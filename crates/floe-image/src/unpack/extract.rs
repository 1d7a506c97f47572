//! Extracting writes a merged tree, or a part of it, into a new directory.
//!
//! Only the final tree is written, never one layer over another: nothing is ever deleted or replaced, so whiteouts and
//! swapped links have nothing to act on. Directories come first, then contents, then links; all of it in a directory
//! beside the destination that takes its name at the end.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::beneath::{Beneath, Metadata, set_metadata};
use super::files::visit_contents;
use super::layer_reader::{Layers, ReadLayerError};
use super::merged_tree::{ContentId, MergedTree, Node, NodeKind};
use super::tree_path::TreePath;

/// What is kept of an image's files beside their contents, times and permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtractConfig {
    /// Numeric users and groups, which only root may set; else all belongs to whoever extracts.
    pub owners: bool,
    /// Set-user-ID and set-group-ID, with which a stranger's program would run as its owner.
    pub setuid: bool,
    /// Device nodes, which only root may make, and which open the machine's own devices.
    pub devices: bool,
    /// Extended attributes; capabilities among them only together with `setuid`.
    pub xattrs: bool,
}

/// What was extracted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Files, directories and links that were made.
    pub nodes: u64,
    /// Bytes of contents that were written.
    pub bytes: u64,
    /// Devices that were left out.
    pub devices_left_out: u64,
}

/// Why a tree could not be extracted. The destination is then as it was.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The path is not in the image.
    #[error("{0} is not in the image")]
    Missing(TreePath),
    /// Something stands at the destination; it would be mixed with the image's files.
    #[error("'{}' is there already: expected a new or an empty directory", .0.display())]
    Occupied(PathBuf),
    /// The destination, or the directory that it lies in, cannot be written.
    #[error("cannot write to {}", path.display())]
    Destination {
        /// The destination.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file could not be made.
    #[error("cannot extract {path}")]
    Node {
        /// Where it stands in the image.
        path: TreePath,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A layer could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
}

/// The attribute that gives a program privileges without set-user-ID (capabilities(7)).
const CAPABILITY: &[u8] = b"security.capability";

/// Permissions without set-user-ID and set-group-ID.
const WITHOUT_SETUID: u32 = 0o1777;

/// Writes what lies at `path` of the tree into the directory `destination`, which is made: the contents of a directory,
/// or the one file under its name. Symlinks in `path` are not followed, and those that are written lead where the image
/// says, which may be nowhere.
///
/// The layers are read once more; each is verified to its end before the destination appears.
///
/// # Errors
/// When there is nothing at the path, something at the destination, a layer cannot be read, or the disk not be written.
pub fn extract(
    layers: &Layers<'_>,
    tree: &MergedTree,
    path: &TreePath,
    destination: &Path,
    config: ExtractConfig,
) -> Result<Extracted, ExtractError> {
    let node = tree.node(path).ok_or_else(|| ExtractError::Missing(path.clone()))?;
    let cannot = |source| ExtractError::Destination { path: destination.to_owned(), source };
    if is_occupied(destination).map_err(cannot)? {
        return Err(ExtractError::Occupied(destination.to_owned()));
    }
    // A name such as `here/` or `.` has its parent elsewhere than it seems.
    let absolute = std::path::absolute(destination).map_err(cannot)?;
    let parent = absolute.parent().unwrap_or(&absolute);
    let staging = tempfile::Builder::new().prefix(".floe-extract-").tempdir_in(parent).map_err(cannot)?;

    // A single file stands in the destination by its name, so the paths there begin at its parent.
    let top = if node.kind == NodeKind::Directory { path.clone() } else { path.parent().unwrap_or_default() };
    let beneath = Beneath::open(staging.path()).map_err(cannot)?;
    let mut extraction = Extraction { config, top, beneath, extracted: Extracted::default() };
    extraction.make_directories(tree, path)?;
    extraction.write_contents(layers, tree, path)?;
    extraction.make_others(tree, path)?;
    extraction.finish_directories(tree, path)?;
    let extracted = extraction.extracted;

    // rename(2) takes the place of an empty directory, and of nothing else.
    fs::rename(staging.path(), &absolute).map_err(|source| match source.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            ExtractError::Occupied(destination.to_owned())
        }
        _ => cannot(source),
    })?;
    // Its name is gone; there is nothing left to remove.
    let _renamed = staging.keep();
    Ok(extracted)
}

#[expect(clippy::disallowed_methods, reason = "only whether there is an entry is asked, not which")]
fn is_occupied(destination: &Path) -> io::Result<bool> {
    match destination.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Ok(metadata) if metadata.is_dir() => Ok(fs::read_dir(destination)?.next().is_some()),
        outcome => outcome.map(|_| true),
    }
}

/// An extraction under way.
struct Extraction {
    config: ExtractConfig,
    /// What the destination stands for.
    top: TreePath,
    beneath: Beneath,
    extracted: Extracted,
}

impl Extraction {
    fn make_directories(&mut self, tree: &MergedTree, path: &TreePath) -> Result<(), ExtractError> {
        for (path, node) in tree.subtree(path) {
            let place = self.place(path);
            if node.kind == NodeKind::Directory && !place.is_root() {
                self.beneath.make_directory(&place).map_err(|source| at(path, source))?;
                self.extracted.nodes += 1;
            }
        }
        Ok(())
    }

    fn write_contents(
        &mut self,
        layers: &Layers<'_>,
        tree: &MergedTree,
        path: &TreePath,
    ) -> Result<(), ExtractError> {
        let mut wanted: BTreeMap<ContentId, Vec<(&TreePath, &Node)>> = BTreeMap::new();
        for (path, node) in tree.subtree(path) {
            if let NodeKind::File { content, .. } = node.kind {
                wanted.entry(content).or_default().push((path, node));
            }
        }
        visit_contents(layers, &wanted, |names, content| {
            let Some(((path, node), others)) = names.split_first() else { return Ok(()) };
            let place = self.place(path);
            let metadata = self.metadata(node);
            let mut write = || {
                let mut file = self.beneath.make_file(&place)?;
                let written = io::copy(content, &mut file)?;
                set_metadata(file.as_fd(), &metadata)?;
                Ok(written)
            };
            self.extracted.bytes += write().map_err(|source| at(path, source))?;
            for (other, _) in others {
                let link = self.place(other);
                self.beneath.make_hard_link(&place, &link).map_err(|source| at(other, source))?;
            }
            self.extracted.nodes += names.len() as u64;
            Ok(())
        })
    }

    /// Makes what has no content: symlinks, pipes, devices.
    fn make_others(&mut self, tree: &MergedTree, path: &TreePath) -> Result<(), ExtractError> {
        for (path, node) in tree.subtree(path) {
            let (place, metadata) = (self.place(path), self.metadata(node));
            let (kind, device) = match &node.kind {
                NodeKind::Directory | NodeKind::File { .. } => continue,
                NodeKind::Symlink(target) => {
                    self.beneath
                        .make_symlink(&place, target, &metadata)
                        .map_err(|source| at(path, source))?;
                    self.extracted.nodes += 1;
                    continue;
                }
                NodeKind::Fifo => (FileType::Fifo, (0, 0)),
                NodeKind::CharacterDevice { .. } | NodeKind::BlockDevice { .. } if !self.config.devices => {
                    self.extracted.devices_left_out += 1;
                    continue;
                }
                NodeKind::CharacterDevice { major, minor } => (FileType::CharacterDevice, (*major, *minor)),
                NodeKind::BlockDevice { major, minor } => (FileType::BlockDevice, (*major, *minor)),
            };
            self.beneath.make_device(&place, kind, device, &metadata).map_err(|source| at(path, source))?;
            self.extracted.nodes += 1;
        }
        Ok(())
    }

    /// Gives directories their modes, those furthest down first: a parent may become unreadable.
    fn finish_directories(&mut self, tree: &MergedTree, path: &TreePath) -> Result<(), ExtractError> {
        let directories = tree.subtree(path).rev().filter(|(_, node)| node.kind == NodeKind::Directory);
        for (path, node) in directories {
            let (place, metadata) = (self.place(path), self.metadata(node));
            self.beneath.finish_directory(&place, &metadata).map_err(|source| at(path, source))?;
        }
        Ok(())
    }

    /// Where a path of the image stands in the destination.
    fn place(&self, path: &TreePath) -> TreePath {
        path.below(&self.top).unwrap_or_default()
    }

    fn metadata(&self, node: &Node) -> Metadata {
        let ExtractConfig { owners, setuid, xattrs, .. } = self.config;
        let is_kept = |name: &[u8]| xattrs && (setuid || name != CAPABILITY);
        Metadata {
            mode: if setuid { node.mode } else { node.mode & WITHOUT_SETUID },
            owner: owners.then_some(node.owner),
            modified: node.modified,
            xattrs: node.xattrs.iter().filter(|xattr| is_kept(&xattr.name)).cloned().collect(),
        }
    }
}

fn at(path: &TreePath, source: io::Error) -> ExtractError {
    ExtractError::Node { path: path.clone(), source }
}
