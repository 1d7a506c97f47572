//! A blob as a stream to read from: sources write blobs, readers of archives want to read them.
//!
//! The source runs on a thread of its own and hands on what it writes through a channel of a few pieces, so memory is
//! bounded and neither side runs ahead.

use std::io::{self, Read, Write};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::oci::Descriptor;
use crate::{BlobError, BlobSource};

/// Pieces on their way; sources write at most some 100 KiB at once.
const PIECES: usize = 8;

/// Runs `read` on the blob's bytes, then reads on to the blob's end, so that the source has checked all of it.
///
/// # Errors
/// When the blob cannot be read or is not what its digest says: that is then the reason of whatever `read` made of
/// bytes that ended early, whose own result is dropped.
pub(super) fn read_blob<T>(
    source: &dyn BlobSource,
    blob: &Descriptor,
    read: impl FnOnce(&mut dyn Read) -> T,
) -> Result<T, BlobError> {
    let (sender, receiver) = bounded(PIECES);
    thread::scope(|scope| {
        let copied = thread::Builder::new()
            .name("read blob".to_owned())
            .spawn_scoped(scope, move || source.copy_to(blob, &mut PieceWriter(sender)))
            .map_err(|source| BlobError::Io { action: "start a thread to read a blob".to_owned(), source })?;
        let mut pieces = PieceReader { receiver, piece: Vec::new(), used: 0 };
        let result = read(&mut pieces);
        // What is left is read for the digest's sake.
        let drained = io::copy(&mut pieces, &mut io::sink());
        drop(pieces);
        let copied = copied.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        drained.map_err(|source| BlobError::Io { action: format!("read blob {}", blob.digest), source })?;
        copied.map(|()| result)
    })
}

struct PieceWriter(Sender<Vec<u8>>);

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.send(bytes.to_vec()) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct PieceReader {
    receiver: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    used: usize,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.used == self.piece.len() {
            // The source has ended, well or not; its own result says which.
            let Ok(piece) = self.receiver.recv() else { return Ok(0) };
            self.piece = piece;
            self.used = 0;
        }
        let length = buffer.len().min(self.piece.len() - self.used);
        buffer[..length].copy_from_slice(&self.piece[self.used..self.used + length]);
        self.used += length;
        Ok(length)
    }
}
