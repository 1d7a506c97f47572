//! A gzip stream around an archive whose file is called so, for people who hand archives on with `gunzip < FILE | podman load`.
//!
//! Blocks of one size become members of their own, one after the other (RFC 1952, section 2.2). Layers are compressed
//! already, so the lowest level costs little and loses nothing.

use std::io::{self, Write};
use std::path::Path;

/// Bytes in one member: what is compressed at once in memory.
const BLOCK: usize = 1 << 20;

/// Whether a file's name says that it is compressed with gzip.
pub(super) fn is_named_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz" || extension == "tgz")
}

/// Compresses what is written; [`GzipWriter::finish`] writes the rest.
pub(super) struct GzipWriter<W> {
    out: W,
    compressor: libdeflater::Compressor,
    block: Vec<u8>,
    member: Vec<u8>,
}

impl<W: Write> GzipWriter<W> {
    /// A stream into `out`.
    pub(super) fn new(out: W) -> Self {
        let compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::fastest());
        Self { out, compressor, block: Vec::with_capacity(BLOCK), member: Vec::new() }
    }

    /// Ends the stream.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.write_member()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write_member(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.member.resize(self.compressor.gzip_compress_bound(self.block.len()), 0);
        let size = self.compressor.gzip_compress(&self.block, &mut self.member).map_err(io::Error::other)?;
        self.block.clear();
        self.out.write_all(&self.member[..size])
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.write_member()?;
        }
        Ok(taken)
    }

    /// Does nothing: a member is written when it is whole, or at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn gives_back_what_was_written() {
        for size in [1, BLOCK - 1, BLOCK, 2 * BLOCK + 7] {
            let bytes: Vec<u8> =
                (0..size).map(|index| u8::try_from(index % 251).expect("below 251")).collect();
            let mut writer = GzipWriter::new(Vec::new());
            bytes.chunks(100_000).for_each(|chunk| writer.write_all(chunk).expect("memory"));
            let compressed = writer.finish().expect("memory");
            let mut read = Vec::new();
            flate2::read::MultiGzDecoder::new(compressed.as_slice()).read_to_end(&mut read).expect("gzip");
            assert!(read == bytes, "{size} bytes");
        }
    }

    #[test]
    fn is_told_by_the_name() {
        for (name, expected) in [("a.tar.gz", true), ("a.tgz", true), ("a.tar", false), ("gz", false)] {
            assert_eq!(is_named_gzip(Path::new(name)), expected, "{name}");
        }
    }
}
