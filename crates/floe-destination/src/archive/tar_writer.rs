//! The outer tar of an archive: plain files with fixed metadata, so that an image gives the same bytes everywhere.
//!
//! Format: POSIX.1-1988 ustar, and GNU's base-256 numbers for files of 8 GiB and more.

use std::io::{self, Write};

/// A tar's unit, in bytes.
const BLOCK: usize = 512;

/// The largest size that eleven octal digits hold, and one more.
const OCTAL_LIMIT: u64 = 1 << 33;

/// Writes the header of a file; `name` has at most 100 bytes, as all names of an archive do.
pub(super) fn write_header(out: &mut dyn Write, name: &str, size: u64) -> io::Result<()> {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if size < OCTAL_LIMIT {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        put(124, &[0x80, 0, 0, 0]);
        put(128, &size.to_be_bytes());
    }
    // The epoch: the date of an image stands in its config.
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.write_all(&header)
}

/// Fills up the last block of a file of `size` bytes.
pub(super) fn write_padding(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let rest = usize::try_from(size % BLOCK as u64).expect("less than a block");
    if rest == 0 { Ok(()) } else { out.write_all(&[0; BLOCK][rest..]) }
}

/// Ends the tar.
pub(super) fn write_end(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_readers_read_it() {
        let mut bytes = Vec::new();
        for (name, content) in [("a", &b"content"[..]), ("b/c", b""), ("d", &[7; BLOCK])] {
            write_header(&mut bytes, name, content.len() as u64).expect("memory");
            bytes.extend_from_slice(content);
            write_padding(&mut bytes, content.len() as u64).expect("memory");
        }
        write_end(&mut bytes).expect("memory");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let found: Vec<_> = archive
            .entries()
            .expect("a tar")
            .map(|entry| {
                let entry = entry.expect("an entry");
                (entry.path().expect("a path").display().to_string(), entry.size())
            })
            .collect();
        assert_eq!(found, [("a".to_owned(), 7), ("b/c".to_owned(), 0), ("d".to_owned(), 512)]);
    }

    #[test]
    fn writes_sizes_beyond_eight_gibibytes() {
        for size in [OCTAL_LIMIT - 1, OCTAL_LIMIT, 1 << 40] {
            let mut bytes = Vec::new();
            write_header(&mut bytes, "large", size).expect("memory");
            let header = tar::Header::from_byte_slice(&bytes);
            assert_eq!(header.entry_size().expect("a number"), size);
        }
    }
}
