//! Buffers and compressors that outlive one layer: fresh ones would cost a page fault for every 4 KiB.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::compression::{Compression, Compressor, UnsupportedLevelError};
use super::stream::Block;

/// What layers packed one after another, or side by side, hand to each other.
pub(super) struct Spare {
    compression: Compression,
    blocks: Mutex<Vec<Block>>,
    compressors: Mutex<Vec<Compressor>>,
}

impl Spare {
    /// Starts with one compressor, which proves that the level is one the algorithm has.
    pub(super) fn new(compression: Compression) -> Result<Self, UnsupportedLevelError> {
        let compressors = Mutex::new(vec![Compressor::new(compression)?]);
        Ok(Self { compression, blocks: Mutex::default(), compressors })
    }

    pub(super) fn compression(&self) -> Compression {
        self.compression
    }

    pub(super) fn block(&self) -> Block {
        lock(&self.blocks).pop().unwrap_or_else(|| Block::new(self.compression.block_size()))
    }

    pub(super) fn keep_block(&self, block: Block) {
        lock(&self.blocks).push(block);
    }

    pub(super) fn compressor(&self) -> Compressor {
        lock(&self.compressors).pop().unwrap_or_else(|| {
            Compressor::new(self.compression).expect("the first compressor had the same level")
        })
    }

    pub(super) fn keep_compressor(&self, compressor: Compressor) {
        lock(&self.compressors).push(compressor);
    }
}

/// A panic elsewhere leaves these lists whole: nothing is changed but by one push or pop.
fn lock<T>(list: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
