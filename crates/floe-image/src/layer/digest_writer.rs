//! The blob's end: compressed blocks come in, are hashed and written.

use std::io::{self, Write};

use super::Compression;
use super::stream::Block;
use crate::oci::{Digest, DigestHasher};

/// Writes a blob and learns its digest and size.
pub(super) struct DigestWriter<'a> {
    out: &'a mut dyn Write,
    /// Absent where the blob is the tar itself, whose diff ID is computed anyway.
    hasher: Option<DigestHasher>,
    size: u64,
}

impl<'a> DigestWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write, compression: Compression) -> Self {
        let hasher = (compression != Compression::None).then(DigestHasher::default);
        Self { out, hasher, size: 0 }
    }

    pub(super) fn write_block(&mut self, block: &Block) -> io::Result<()> {
        let bytes = match &mut self.hasher {
            Some(hasher) => {
                hasher.update(&block.compressed);
                &block.compressed
            }
            None => block.bytes(),
        };
        self.size += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Flushes; returns the blob's digest, unless it is the tar's, and its size.
    pub(super) fn finish(self) -> io::Result<(Option<Digest>, u64)> {
        self.out.flush()?;
        Ok((self.hasher.map(DigestHasher::finish), self.size))
    }
}
