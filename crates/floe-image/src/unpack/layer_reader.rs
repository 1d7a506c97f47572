//! One layer as a row of changes: its blob is decompressed, its tar read, its whiteouts understood, its diff ID checked.

use std::io::{self, Read};

use super::blob_reader::read_blob;
use super::decompress::Decompressed;
use super::tar_reader::{Entry, EntryKind, TarError, TarReader};
use super::tree_path::TreePath;
use crate::layer::Layer;
use crate::oci::{Descriptor, DiffId, DigestHasher};
use crate::{BlobError, BlobSource};

/// What a whiteout's name begins with (OCI image-spec v1.1, layer.md, "Whiteouts").
const WHITEOUT_PREFIX: &[u8] = b".wh.";

/// Names of this kind were aufs' own; the specification knows one of them.
const WHITEOUT_META_PREFIX: &[u8] = b".wh..wh.";

/// Hides everything that lower layers have in the directory (layer.md, "Opaque Whiteout").
const OPAQUE: &[u8] = b".wh..wh..opq";

/// An image's layers and where their bytes come from.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    /// Yields the blobs.
    pub source: &'a dyn BlobSource,
    /// The layers, bottom first.
    pub layers: &'a [Layer],
    /// How much is taken from strangers.
    pub limits: Limits,
}

/// How much is taken from strangers before they are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nodes of all layers together.
    pub max_entries: usize,
    /// Bytes of their names, link targets and attributes, which are held in memory.
    pub max_name_bytes: u64,
    /// Bytes of a layer's tar that any blob may have.
    pub max_tar_size: u64,
    /// Bytes of tar that a byte of blob may add to that.
    pub max_ratio: u64,
}

impl Default for Limits {
    /// Twenty times a large image of a distribution: 2 million nodes and 256 MiB of names; 1 GiB of tar and 200 bytes
    /// for each of the blob, where real layers have 2 to 10.
    fn default() -> Self {
        Self { max_entries: 2_000_000, max_name_bytes: 256 << 20, max_tar_size: 1 << 30, max_ratio: 200 }
    }
}

impl Limits {
    fn tar_size(self, blob: &Descriptor) -> u64 {
        blob.size.saturating_mul(self.max_ratio).saturating_add(self.max_tar_size)
    }
}

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadLayerError {
    /// The blob is not there, cannot be read, or is not what its digest says.
    #[error("cannot read layer {}", .0.digest)]
    Blob(Box<Descriptor>, #[source] BlobError),
    /// The blob does not decompress, or its tar is not one that a layer may have.
    #[error("layer {} is malformed", .0.digest)]
    Tar(Box<Descriptor>, #[source] TarError),
    /// The tar is not the one that the image's config names, so the config speaks of another image.
    #[error("layer {} has the diff ID {found}: expected {expected}", descriptor.digest)]
    WrongDiffId {
        /// The layer's blob.
        descriptor: Box<Descriptor>,
        /// What the config names.
        expected: DiffId,
        /// What the tar has.
        found: DiffId,
    },
}

/// What one entry of a layer does to the layers below.
#[derive(Debug)]
pub(super) enum Change {
    /// Puts a node there, in place of another one unless both are directories.
    Put(Entry),
    /// Takes away what lower layers have at a path.
    Remove(TreePath),
    /// Takes away what lower layers have in a directory.
    Empty(TreePath),
}

/// The content of the file that was just put; empty for all else.
pub(super) struct Content<'a, 'input>(&'a mut TarReader<'input>);

impl Read for Content<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_content(buffer)
    }
}

/// Shows a layer's changes to `visit` in their order, each with its number, counted from 0, and its content.
///
/// The whole blob is read and checked, whatever `visit` is interested in; only then this returns success. An error of
/// `visit` ends the reading.
pub(super) fn read_layer<E: From<ReadLayerError>>(
    source: &dyn BlobSource,
    layer: &Layer,
    limits: Limits,
    mut visit: impl FnMut(usize, Change, &mut Content<'_, '_>) -> Result<(), E>,
) -> Result<(), E> {
    let descriptor = &layer.descriptor;
    let malformed = |error| E::from(ReadLayerError::Tar(Box::new(descriptor.clone()), error));
    let at_start = |source| malformed(TarError::Read { offset: 0, source });
    let outcome = read_blob(source, descriptor, |blob| {
        let tar = Decompressed::new(blob, limits.tar_size(descriptor)).map_err(at_start)?;
        let mut tar = Hashing { input: tar, hasher: DigestHasher::default() };
        let mut reader = TarReader::new(&mut tar);
        let mut number = 0;
        while let Some(entry) = reader.next_entry().map_err(malformed)? {
            if let Some(change) = change(entry, &reader).map_err(malformed)? {
                visit(number, change, &mut Content(&mut reader))?;
            }
            number += 1;
        }
        // The diff ID counts what stands behind the tar's end as well.
        io::copy(&mut tar, &mut io::sink()).map_err(at_start)?;
        let (expected, found) = (layer.diff_id, DiffId::new(tar.hasher.finish()));
        if found == expected {
            Ok(())
        } else {
            let descriptor = Box::new(descriptor.clone());
            Err(E::from(ReadLayerError::WrongDiffId { descriptor, expected, found }))
        }
    });
    outcome.map_err(|error| E::from(ReadLayerError::Blob(Box::new(descriptor.clone()), error)))?
}

/// What an entry means; `None` for aufs' own files, which mean nothing in a layer.
fn change(entry: Entry, reader: &TarReader<'_>) -> Result<Option<Change>, TarError> {
    let name = entry.path.name();
    if name == OPAQUE {
        return Ok(entry.path.parent().map(Change::Empty));
    }
    if entry.path.parts().any(|part| part.starts_with(WHITEOUT_META_PREFIX)) {
        return Ok(None);
    }
    let is_hidden = |path: &TreePath| path.parts().any(|part| part.starts_with(WHITEOUT_PREFIX));
    let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX) else {
        let (path, target) = match &entry.kind {
            EntryKind::HardLink(target) => (&entry.path, Some(target)),
            _ => (&entry.path, None),
        };
        if is_hidden(path) || target.is_some_and(is_hidden) {
            return reader.malformed(format!("{path} lies in or leads to a whiteout"));
        }
        return Ok(Some(Change::Put(entry)));
    };
    let parent = entry.path.parent().unwrap_or_default();
    match parent.child(hidden) {
        Ok(path) if path != parent && !is_hidden(&path) => Ok(Some(Change::Remove(path))),
        _ => reader.malformed(format!("{} is a whiteout of nothing", entry.path)),
    }
}

/// Hashes the tar as it passes.
struct Hashing<'a> {
    input: Decompressed<'a>,
    hasher: DigestHasher,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
