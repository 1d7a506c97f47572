//! The tar as a stream of blocks: bytes come in, are hashed for the diff ID and the current NAR, and
//! go out in blocks of fixed size to be compressed.
//!
//! File contents are read straight into the block that goes to the compressor, and are hashed for
//! both streams while the processor's cache still holds them.

use std::io::{self, Read};

use super::PackProgress;
use super::sha256_pair::{Sha256, update_both};

/// Bytes read and hashed at once: they stay in a core's own cache meanwhile.
const PIECE_SIZE: usize = 128 * 1024;

/// Contents from this size on are hashed where they lie. Smaller ones are copied behind the NAR's
/// framing, so that both hashes get long runs.
const COPY_BELOW: usize = 16 * 1024;

/// A block of the tar and its compressed form; both buffers are used again and again.
#[derive(Debug)]
pub(super) struct Block {
    /// The block's place in the blob, from 0.
    pub(super) index: u64,
    /// Invariant: as long as the compression's block size.
    bytes: Box<[u8]>,
    used: usize,
    /// The compressed block, once it was compressed.
    pub(super) compressed: Vec<u8>,
}

impl Block {
    pub(super) fn new(size: usize) -> Self {
        Self { index: 0, bytes: vec![0; size].into_boxed_slice(), used: 0, compressed: Vec::new() }
    }

    /// The tar bytes in this block.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    /// The tar bytes, and the buffer for their compressed form.
    pub(super) fn split(&mut self) -> (&[u8], &mut Vec<u8>) {
        (&self.bytes[..self.used], &mut self.compressed)
    }

    fn room(&self) -> usize {
        self.bytes.len() - self.used
    }
}

/// Takes a full block and gives an empty one.
pub(super) trait TakeBlock {
    /// Hands a block on, waiting for an empty one.
    fn take(&mut self, full: Block) -> Result<Block, Stopped>;

    /// Hands the tar's last block on.
    fn take_last(&mut self, last: Block) -> Result<(), Stopped>;
}

/// Nobody takes blocks any more; whoever stopped knows why.
#[derive(Debug, thiserror::Error)]
#[error("packing stopped")]
pub(super) struct Stopped;

impl From<Stopped> for io::Error {
    fn from(stopped: Stopped) -> Self {
        Self::other(stopped)
    }
}

/// The tar that is being written, and the NAR beside it.
pub(super) struct Stream<'a> {
    block: Block,
    /// Bytes of `block` that the diff ID's hash has.
    hashed: usize,
    tar: Sha256,
    nar: Sha256,
    /// NAR bytes that stand before the next content and are not hashed yet.
    framing: Vec<u8>,
    next: &'a mut dyn TakeBlock,
    progress: &'a dyn PackProgress,
}

impl<'a> Stream<'a> {
    /// Starts a tar in an empty block.
    pub(super) fn new(first: Block, next: &'a mut dyn TakeBlock, progress: &'a dyn PackProgress) -> Self {
        let mut stream = Self {
            block: first,
            hashed: 0,
            tar: Sha256::default(),
            nar: Sha256::default(),
            framing: Vec::with_capacity(PIECE_SIZE),
            next,
            progress,
        };
        stream.block.index = 0;
        stream.block.used = 0;
        stream
    }

    /// Appends bytes to the tar alone.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Stopped> {
        while !bytes.is_empty() {
            self.make_room()?;
            let (head, rest) = bytes.split_at(bytes.len().min(self.block.room()));
            self.block.bytes[self.block.used..][..head.len()].copy_from_slice(head);
            self.block.used += head.len();
            bytes = rest;
        }
        self.hash_when_long();
        Ok(())
    }

    /// The end of the NAR; whatever is appended here is hashed in order.
    pub(super) fn framing(&mut self) -> &mut Vec<u8> {
        &mut self.framing
    }

    /// Appends `size` bytes of content to the tar and to the NAR.
    ///
    /// # Errors
    /// When the content cannot be read or ends early, or nobody takes blocks any more.
    pub(super) fn copy(&mut self, content: &mut dyn Read, size: u64) -> io::Result<()> {
        let mut left = size;
        while left > 0 {
            self.make_room()?;
            let room = self.block.room().min(PIECE_SIZE);
            let wanted = usize::try_from(left).map_or(room, |left| left.min(room));
            let start = self.block.used;
            content.read_exact(&mut self.block.bytes[start..start + wanted])?;
            if wanted < COPY_BELOW {
                self.framing.extend_from_slice(&self.block.bytes[start..start + wanted]);
                self.block.used += wanted;
                self.hash_when_long();
            } else {
                self.hash_pending();
                self.block.used += wanted;
                let piece = &self.block.bytes[start..start + wanted];
                update_both((&mut self.tar, piece), (&mut self.nar, piece));
                self.hashed = self.block.used;
                self.progress.bytes_read(wanted as u64);
            }
            left -= wanted as u64;
        }
        Ok(())
    }

    /// Ends the NAR and returns its SHA-256; the next one may begin.
    pub(super) fn finish_nar(&mut self) -> [u8; 32] {
        self.hash_pending();
        self.nar.take()
    }

    /// Hands the last block on; returns the tar's SHA-256.
    pub(super) fn finish(mut self) -> Result<[u8; 32], Stopped> {
        self.hash_pending();
        self.next.take_last(self.block)?;
        Ok(self.tar.take())
    }

    /// Hands the block on when it is full.
    fn make_room(&mut self) -> Result<(), Stopped> {
        if self.block.room() > 0 {
            return Ok(());
        }
        self.hash_pending();
        let index = self.block.index;
        // The empty block in between has no buffer, so it costs nothing.
        let full = std::mem::replace(&mut self.block, Block::new(0));
        self.block = self.next.take(full)?;
        self.block.index = index + 1;
        self.block.used = 0;
        self.hashed = 0;
        Ok(())
    }

    fn hash_when_long(&mut self) {
        if self.block.used - self.hashed >= PIECE_SIZE || self.framing.len() >= PIECE_SIZE {
            self.hash_pending();
        }
    }

    fn hash_pending(&mut self) {
        let tar = &self.block.bytes[self.hashed..self.block.used];
        update_both((&mut self.tar, tar), (&mut self.nar, &self.framing));
        self.hashed = self.block.used;
        if !self.framing.is_empty() {
            self.progress.bytes_read(self.framing.len() as u64);
            self.framing.clear();
        }
    }
}
