//! Layers as friends and enemies write them, merged and extracted through the front door.

mod attacks;
mod extracting;
mod limits;
mod merging;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use super::{Layers, Limits, MergedTree, NodeKind, ReadTreeError, TreePath};
use crate::layer::Layer;
use crate::oci::{Descriptor, DiffId, Digest, MediaType};
use crate::{BlobError, BlobSource};

/// A tar in the making; names go in raw, so that hostile ones do.
#[derive(Clone, Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn new() -> Self {
        Self::default()
    }

    fn directory(self, name: &str, mode: u32) -> Self {
        self.entry(name, b'5', "", mode, b"")
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.entry(name, b'0', "", 0o644, content.as_bytes())
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name, b'2', target, 0o777, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(name, b'1', target, 0o644, b"")
    }

    /// A header block, with the content behind it.
    fn entry(mut self, name: &str, kind: u8, target: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::new(kind));
        let bytes = header.as_mut_bytes();
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A pax header for the entry that follows.
    fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut content = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            // Three digits for every record, filled up with zeros.
            content.extend_from_slice(format!("{:03} {key}=", rest + 3).as_bytes());
            content.extend_from_slice(value);
            content.push(b'\n');
        }
        self.entry("pax", b'x', "", 0o644, &content)
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

/// Layers in memory.
#[derive(Default)]
struct Image {
    blobs: BTreeMap<Digest, Vec<u8>>,
    layers: Vec<Layer>,
}

impl Image {
    fn new(tars: impl IntoIterator<Item = Tar>) -> Self {
        tars.into_iter().fold(Self::default(), |image, tar| {
            let tar = tar.finish();
            image.layer(&tar, tar.clone())
        })
    }

    fn layer(mut self, tar: &[u8], blob: Vec<u8>) -> Self {
        let descriptor = Descriptor::of(MediaType::LayerTar, &blob);
        let diff_id = DiffId::new(Digest::of(tar));
        self.blobs.insert(descriptor.digest, blob);
        self.layers.push(Layer { descriptor, diff_id });
        self
    }

    fn layers(&self) -> Layers<'_> {
        Layers { source: self, layers: &self.layers, limits: Limits::default() }
    }

    fn tree(&self) -> Result<MergedTree, ReadTreeError> {
        MergedTree::read(&self.layers())
    }

    /// One line a node, as `ls` would show it; the root is left out.
    fn listing(&self) -> Vec<String> {
        let tree = self.tree().expect("a tree");
        let lines = tree.subtree(&TreePath::ROOT).skip(1).map(|(path, node)| match &node.kind {
            NodeKind::Directory => format!("{path}/"),
            NodeKind::File { .. } => path.to_string(),
            NodeKind::Symlink(target) => format!("{path} -> {}", String::from_utf8_lossy(target)),
            other => format!("{path} {other:?}"),
        });
        lines.collect()
    }
}

impl BlobSource for Image {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let bytes = self.blobs.get(&blob.digest).ok_or(BlobError::Missing(blob.digest))?;
        // In small pieces, as a network would.
        for piece in bytes.chunks(1000) {
            let failed = |source| BlobError::Io { action: "write".to_owned(), source };
            out.write_all(piece).map_err(failed)?;
        }
        Ok(())
    }
}

fn path(text: &str) -> TreePath {
    TreePath::parse(text.as_bytes()).expect("a path")
}

/// The names in a directory, sorted.
#[expect(clippy::disallowed_methods, reason = "the names are sorted")]
fn names(directory: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<OsString> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    names
}
