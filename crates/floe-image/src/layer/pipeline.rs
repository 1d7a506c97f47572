//! The way of a block: filled by a reading thread, compressed by one of several, written in order by
//! the caller's thread.
//!
//! A fixed number of blocks goes round, so that memory is bounded and the reader waits for the
//! writer. Whoever fails drops its ends of the channels; the others notice and end.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::compression::Compressor;
use super::digest_writer::DigestWriter;
use super::spare::Spare;
use super::stream::{Block, Stopped, TakeBlock};

/// Blocks beyond those being compressed: one is being filled, one written.
const BLOCKS_BESIDE_COMPRESSORS: usize = 2;

/// Why a blob could not be made, beside what its tar's producer has to say.
#[derive(Debug)]
pub(super) enum PipelineError {
    Compress(io::Error),
    Write(io::Error),
    Thread(io::Error),
}

/// Runs `produce` on this thread: for tars of about one block, where threads would only wait.
///
/// An error of the pipeline is told rather than the producer's, which it causes.
pub(super) fn run_inline<T>(
    spare: &Spare,
    produce: impl FnOnce(Block, &mut dyn TakeBlock) -> T,
    out: &mut DigestWriter<'_>,
) -> Result<T, PipelineError> {
    let mut inline = Inline { spare, compressor: spare.compressor(), out, failed: None };
    let produced = produce(spare.block(), &mut inline);
    let Inline { compressor, failed, .. } = inline;
    spare.keep_compressor(compressor);
    failed.map_or(Ok(produced), Err)
}

/// Runs `produce` on its own thread, with `threads` more that compress.
///
/// An error of the pipeline is told rather than the producer's, which it causes.
pub(super) fn run_threaded<T: Send>(
    spare: &Spare,
    threads: NonZeroUsize,
    produce: impl FnOnce(Block, &mut dyn TakeBlock) -> T + Send,
    out: &mut DigestWriter<'_>,
) -> Result<T, PipelineError> {
    let blocks = threads.get() + BLOCKS_BESIDE_COMPRESSORS;
    let (full_sender, full) = bounded(blocks);
    let (compressed_sender, compressed) = bounded(blocks);
    let (empty_sender, empty) = bounded(blocks);
    for _ in 1..blocks {
        // The channel has room for every block, and its receiver is held here.
        if empty_sender.send(None).is_err() {
            break;
        }
    }
    thread::scope(|scope| {
        for _ in 0..threads.get() {
            let (full, compressed) = (full.clone(), compressed_sender.clone());
            thread::Builder::new()
                .name("compress".to_owned())
                .spawn_scoped(scope, move || compress_blocks(spare, &full, &compressed))
                .map_err(PipelineError::Thread)?;
        }
        drop((full, compressed_sender));
        let mut threaded = Threaded { full: full_sender, empty: empty.clone(), spare };
        let producer = thread::Builder::new()
            .name("read".to_owned())
            .spawn_scoped(scope, move || produce(spare.block(), &mut threaded))
            .map_err(PipelineError::Thread)?;
        write_blocks(compressed, &empty_sender, out)?;
        drop(empty_sender);
        let produced = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        for block in empty.into_iter().flatten() {
            spare.keep_block(block);
        }
        Ok(produced)
    })
}

/// Compresses and writes each block as it comes.
struct Inline<'a, 'out> {
    spare: &'a Spare,
    compressor: Compressor,
    out: &'a mut DigestWriter<'out>,
    failed: Option<PipelineError>,
}

impl TakeBlock for Inline<'_, '_> {
    fn take(&mut self, mut block: Block) -> Result<Block, Stopped> {
        let written = compress(&mut self.compressor, &mut block)
            .map_err(PipelineError::Compress)
            .and_then(|()| self.out.write_block(&block).map_err(PipelineError::Write));
        written.map(|()| block).map_err(|error| {
            self.failed = Some(error);
            Stopped
        })
    }

    fn take_last(&mut self, last: Block) -> Result<(), Stopped> {
        let block = self.take(last)?;
        self.spare.keep_block(block);
        Ok(())
    }
}

/// The producer's ends of the channels.
struct Threaded<'a> {
    full: Sender<Block>,
    /// `None` stands for a block that was not needed so far.
    empty: Receiver<Option<Block>>,
    spare: &'a Spare,
}

impl TakeBlock for Threaded<'_> {
    fn take(&mut self, full: Block) -> Result<Block, Stopped> {
        self.full.send(full).map_err(|_| Stopped)?;
        let block = self.empty.recv().map_err(|_| Stopped)?;
        Ok(block.unwrap_or_else(|| self.spare.block()))
    }

    fn take_last(&mut self, last: Block) -> Result<(), Stopped> {
        self.full.send(last).map_err(|_| Stopped)
    }
}

fn compress(compressor: &mut Compressor, block: &mut Block) -> io::Result<()> {
    let (bytes, compressed) = block.split();
    compressor.compress(bytes, compressed)
}

fn compress_blocks(spare: &Spare, full: &Receiver<Block>, compressed: &Sender<io::Result<Block>>) {
    let mut compressor = spare.compressor();
    for mut block in full {
        let outcome = compress(&mut compressor, &mut block).map(|()| block);
        if compressed.send(outcome).is_err() {
            break;
        }
    }
    spare.keep_compressor(compressor);
}

/// Writes blocks by their index until every compressing thread has ended. Takes `compressed` whole, so
/// that those threads end when this fails.
fn write_blocks(
    compressed: Receiver<io::Result<Block>>,
    empty: &Sender<Option<Block>>,
    out: &mut DigestWriter<'_>,
) -> Result<(), PipelineError> {
    let mut next = 0;
    let mut early = BTreeMap::new();
    for block in compressed {
        let block = block.map_err(PipelineError::Compress)?;
        early.insert(block.index, block);
        while let Some(block) = early.remove(&next) {
            out.write_block(&block).map_err(PipelineError::Write)?;
            next += 1;
            // The producer may have ended; the channel is then emptied by its other receiver.
            empty.send(Some(block)).ok();
        }
    }
    Ok(())
}
