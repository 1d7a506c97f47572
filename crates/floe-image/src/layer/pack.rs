//! Packing: what a layer holds comes in, its blob goes out, and the identities of both are returned.
//!
//! Every file is read once. From the same bytes come the tar with its diff ID, the NAR hash of each
//! store path, and the blob with its digest (OCI image-spec v1.1, layer.md; config.md, Layer DiffID).

use std::io::{self, Write};
use std::num::NonZeroUsize;

use floe_store::tree::WalkError;
use floe_store::{NarHash, StorePath, TreeSource};

use super::digest_writer::DigestWriter;
use super::entries::{StoreNodes, write_root_entry, write_store_dir};
use super::pipeline::{PipelineError, run_inline, run_threaded};
use super::root_tree::RootTreeError;
use super::spare::Spare;
use super::stream::{Block, Stopped, Stream, TakeBlock};
use super::{Compression, Layer, LayerContents, StoreEntry, UnsupportedLevelError, tar};
use crate::oci::{Descriptor, DiffId, Digest};

/// Packs layers, one after another or side by side from several threads.
///
/// It keeps buffers from one layer for the next: about 16 MiB for each thread that packs or
/// compresses at the same time with zstd, 2 MiB with gzip.
///
/// ```no_run
/// use floe_image::layer::{Compression, LayerContents, Packer};
/// use floe_store::tree::LocalTrees;
///
/// # fn pack(contents: &LayerContents) -> Result<(), Box<dyn std::error::Error>> {
/// let packer = Packer::new(Compression::default(), std::thread::available_parallelism()?)?;
/// let mut blob = std::fs::File::create("layer.tar.zst")?;
/// let layer = packer.pack(contents, &LocalTrees::new("/nix/store"), &(), &mut blob)?;
/// assert_eq!(layer.descriptor.size, blob.metadata()?.len());
/// # Ok(())
/// # }
/// ```
pub struct Packer {
    threads: NonZeroUsize,
    spare: Spare,
}

/// Is told how packing gets on, often and from a thread that has better to do: it must return at once.
pub trait PackProgress: Sync {
    /// So many more bytes of NARs were read; over a layer they add up to [`LayerContents::nar_size`].
    fn bytes_read(&self, bytes: u64) {
        let _ = bytes;
    }

    /// A store path was read to its end and is what its NAR hash says.
    fn path_done(&self, path: &StorePath) {
        let _ = path;
    }
}

/// Tells nobody.
impl PackProgress for () {}

/// Why a layer could not be packed. What was written of its blob must be thrown away.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The files of a store path are not those that Nix registered; shipping them under their name
    /// would break what the name promises.
    #[error("files of {path} changed since Nix registered them: expected NAR hash {expected}, found {found}")]
    Changed {
        /// The store path.
        path: StorePath,
        /// The NAR hash that Nix registered.
        expected: NarHash,
        /// The NAR hash of the files.
        found: NarHash,
    },
    /// The files of a store path cannot be read.
    #[error("cannot pack {path}")]
    Walk {
        /// The store path.
        path: StorePath,
        /// The node at fault.
        #[source]
        source: WalkError,
    },
    /// What stands outside the store cannot be put together.
    #[error("cannot pack the root of the image")]
    Root(#[source] RootTreeError),
    /// A block cannot be compressed, for want of memory.
    #[error("cannot compress the layer")]
    Compress(#[source] io::Error),
    /// The blob cannot be written: the disk is full, the registry hangs up.
    #[error("cannot write the layer's blob")]
    Write(#[source] io::Error),
    /// The system gives no more threads.
    #[error("cannot start a thread to pack the layer")]
    Thread(#[source] io::Error),
}

/// The pipeline's own error tells why it stopped, and is returned in place of this one.
impl From<Stopped> for PackError {
    fn from(stopped: Stopped) -> Self {
        Self::Write(stopped.into())
    }
}

impl From<PipelineError> for PackError {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Compress(source) => Self::Compress(source),
            PipelineError::Write(source) => Self::Write(source),
            PipelineError::Thread(source) => Self::Thread(source),
        }
    }
}

impl Packer {
    /// Prepares packing with so many compressing threads for each layer. Reading and writing need
    /// little beside them and have threads of their own. The bytes do not depend on the number.
    ///
    /// # Errors
    /// When the compression does not have its level.
    pub fn new(compression: Compression, threads: NonZeroUsize) -> Result<Self, UnsupportedLevelError> {
        Ok(Self { threads, spare: Spare::new(compression)? })
    }

    /// How the layers' tars become blobs.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.spare.compression()
    }

    /// Packs a layer into `out`, which is only written to from this thread.
    ///
    /// The blob depends on the contents and the compression alone. An empty layer is packed too.
    ///
    /// # Errors
    /// When a store path cannot be read or is not what its NAR hash says, or `out` fails.
    pub fn pack(
        &self,
        contents: &LayerContents,
        trees: &dyn TreeSource,
        progress: &dyn PackProgress,
        out: &mut dyn Write,
    ) -> Result<Layer, PackError> {
        let compression = self.compression();
        let mut out = DigestWriter::new(out, compression);
        let produce = |first: Block, next: &mut dyn TakeBlock| -> Result<_, PackError> {
            let mut stream = Stream::new(first, next, progress);
            write_tar(contents, trees, progress, &mut stream)?;
            Ok(stream.finish()?)
        };
        let tar_hash = match self.useful_threads(contents) {
            Some(threads) => run_threaded(&self.spare, threads, produce, &mut out)?,
            None => run_inline(&self.spare, produce, &mut out)?,
        }?;
        let tar_digest = Digest::from_bytes(tar_hash);
        let (digest, size) = out.finish().map_err(PackError::Write)?;
        Ok(Layer {
            descriptor: Descriptor::new(compression.media_type(), digest.unwrap_or(tar_digest), size),
            diff_id: DiffId::new(tar_digest),
        })
    }

    /// How many compressing threads will find a block to do, or `None` where one block is about all.
    fn useful_threads(&self, contents: &LayerContents) -> Option<NonZeroUsize> {
        let blocks = contents.nar_size() / self.compression().block_size() as u64;
        let blocks = NonZeroUsize::new(usize::try_from(blocks).unwrap_or(usize::MAX))?;
        Some(self.threads.min(blocks.saturating_add(1)))
    }
}

fn write_tar(
    contents: &LayerContents,
    trees: &dyn TreeSource,
    progress: &dyn PackProgress,
    stream: &mut Stream<'_>,
) -> Result<(), PackError> {
    match contents {
        LayerContents::StorePaths { store_dir, paths, owner } => {
            write_store_dir(store_dir, *owner, stream)?;
            for StoreEntry { path, nar_hash, .. } in paths {
                let mut nodes = StoreNodes::new(store_dir, path, *owner, stream);
                trees
                    .walk(path, &mut nodes)
                    .map_err(|source| PackError::Walk { path: path.clone(), source })?;
                let found = NarHash::from_bytes(stream.finish_nar());
                if found != *nar_hash {
                    return Err(PackError::Changed { path: path.clone(), expected: *nar_hash, found });
                }
                progress.path_done(path);
            }
        }
        LayerContents::Root(tree) => {
            for entry in tree.expand(trees).map_err(PackError::Root)? {
                write_root_entry(&entry, stream)?;
            }
        }
        LayerContents::Entries { entries } => {
            for entry in entries {
                write_root_entry(entry, stream)?;
            }
        }
    }
    Ok(stream.write(&tar::END)?)
}
