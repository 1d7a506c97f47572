//! Bytes are believed only when they hash to their digest and have its length.
//!
//! Comes in: a reader and the descriptor of what it should hold. Goes out: the same bytes, or an error.

use std::io::{self, Read, Write};

use floe_image::BlobError;
use floe_image::oci::{Descriptor, DigestHasher};

/// Bytes moved at once.
const BUFFER: usize = 256 * 1024;

/// Copies a blob and fails when the bytes are not those of the descriptor; the bytes may be written by then.
///
/// `place` names where the bytes come from, for errors. At most one buffer more than the blob's size is read.
pub(crate) fn copy(
    blob: &Descriptor,
    place: &str,
    from: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<(), BlobError> {
    let mut hasher = DigestHasher::default();
    let mut size = 0_u64;
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(BlobError::Io { action: format!("read {place}"), source }),
        };
        let bytes = &buffer[..read];
        hasher.update(bytes);
        size += read as u64;
        if size > blob.size {
            break;
        }
        out.write_all(bytes)
            .map_err(|source| BlobError::Io { action: format!("copy blob {}", blob.digest), source })?;
    }
    let found = hasher.finish();
    if size == blob.size && found == blob.digest {
        Ok(())
    } else {
        Err(BlobError::WrongBytes { expected: blob.digest, found, size })
    }
}

/// Describes bytes that are known not to be those of the descriptor.
pub(crate) fn wrong_bytes(blob: &Descriptor, mut from: impl Read) -> io::Result<BlobError> {
    let mut hasher = DigestHasher::default();
    let mut size = 0;
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
    Ok(BlobError::WrongBytes { expected: blob.digest, found: hasher.finish(), size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use floe_image::oci::MediaType;

    #[test]
    fn believes_only_the_right_bytes() {
        let blob = Descriptor::of(MediaType::LayerTar, b"bytes");
        for (bytes, right) in [(&b"bytes"[..], true), (b"byteS", false), (b"byte", false), (b"bytes!", false)]
        {
            let result = copy(&blob, "a test", &mut &*bytes, &mut io::sink());
            assert_eq!(result.is_ok(), right, "{bytes:?}");
        }
    }
}
