//! A layer's tar, out of its blob: gzip in any number of members, zstd in any number of frames, or as it is.
//!
//! The first bytes say which, as engines do it, since media types of old images are not always true (RFC 1952, section
//! 2.3.1; RFC 8878, sections 3.1.1 and 3.1.2). What comes out is bounded, so that a small blob cannot keep a reader
//! busy for hours. Archives of images that are compressed as a whole are read the same way.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Skippable frames, with which a zstd blob may begin; the first byte ends in any hex digit.
const ZSTD_SKIPPABLE_MAGIC: &[u8] = &[0x2a, 0x4d, 0x18];

/// The longest magic number.
const MAGIC_SIZE: u64 = 4;

/// The largest window that is accepted, as a power of 2: 128 MiB, what `zstd --long` makes and its decoder takes.
const ZSTD_LARGEST_WINDOW: u32 = 27;

type Blob<'a> = BufReader<Chain<Cursor<Vec<u8>>, &'a mut dyn Read>>;

/// The bytes of a blob's tar, at most `limit` of them.
pub struct Decompressed<'a> {
    decoder: Decoder<'a>,
    limit: u64,
    left: u64,
}

enum Decoder<'a> {
    Plain(Blob<'a>),
    Gzip(Box<MultiGzDecoder<Blob<'a>>>),
    Zstd(zstd::Decoder<'static, Blob<'a>>),
}

impl std::fmt::Debug for Decompressed<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Decompressed").field("left", &self.left).finish_non_exhaustive()
    }
}

/// A blob that grows beyond its limit, in bytes.
#[derive(Debug, thiserror::Error)]
#[error("it decompresses to more than {0} bytes, which is out of all proportion to its size")]
pub struct Bomb(pub u64);

impl<'a> Decompressed<'a> {
    /// Looks at the first bytes.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn new(blob: &'a mut dyn Read, limit: u64) -> io::Result<Self> {
        let mut start = Vec::new();
        blob.take(MAGIC_SIZE).read_to_end(&mut start)?;
        let is_gzip = start.starts_with(GZIP_MAGIC);
        let is_zstd = start.starts_with(ZSTD_MAGIC)
            || start.get(1..) == Some(ZSTD_SKIPPABLE_MAGIC) && start[0] & 0xf0 == 0x50;
        let blob = BufReader::new(Cursor::new(start).chain(blob));
        let decoder = if is_gzip {
            Decoder::Gzip(Box::new(MultiGzDecoder::new(blob)))
        } else if is_zstd {
            let mut decoder = zstd::Decoder::with_buffer(blob)?;
            decoder.window_log_max(ZSTD_LARGEST_WINDOW)?;
            Decoder::Zstd(decoder)
        } else {
            Decoder::Plain(blob)
        };
        Ok(Self { decoder, limit, left: limit })
    }
}

impl Read for Decompressed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.decoder {
            Decoder::Plain(blob) => blob.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
        }?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| io::Error::other(Bomb(self.limit)))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(bytes, 3).expect("memory")
    }

    fn read(blob: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut blob = blob;
        Decompressed::new(&mut blob, limit)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn reads_every_form() {
        let skippable: &[u8] = &[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        for (form, blob) in [
            ("plain", b"onetwo".to_vec()),
            ("gzip", gzip(b"onetwo")),
            ("gzip members", [gzip(b"one"), gzip(b""), gzip(b"two")].concat()),
            ("zstd", zstd(b"onetwo")),
            ("zstd frames", [zstd(b"one"), skippable.to_vec(), zstd(b"two")].concat()),
            ("zstd behind a skippable frame", [skippable.to_vec(), zstd(b"onetwo")].concat()),
        ] {
            assert_eq!(read(&blob, 6).expect(form), b"onetwo", "{form}");
        }
        assert_eq!(read(b"", 6).expect("an empty blob"), b"");
    }

    #[test]
    fn refuses_bombs_and_damage() {
        let zeros = vec![0; 1 << 20];
        for (form, blob) in [
            ("gzip", gzip(&zeros)),
            ("many members", gzip(&zeros[..1024]).repeat(100)),
            ("zstd", zstd(&zeros)),
            ("many frames", zstd(&zeros[..1024]).repeat(100)),
            ("plain", zeros.clone()),
        ] {
            let error = read(&blob, 100_000).expect_err(form);
            assert!(error.get_ref().is_some_and(|inner| inner.is::<Bomb>()), "{form}: {error}");
        }
        for (form, blob) in [("gzip", gzip(b"some bytes")), ("zstd", zstd(b"some bytes"))] {
            assert!(read(&blob[..blob.len() - 2], 100).is_err(), "{form}");
        }
    }

    #[test]
    fn refuses_windows_that_fill_the_memory() {
        // A frame header that asks for a window of 2 GiB (RFC 8878, section 3.1.1.1.2).
        let blob = [ZSTD_MAGIC, &[0x00, 21 << 3], &[0x01, 0x00, 0x00]].concat();
        assert!(read(&blob, 100).is_err());
    }
}
