//! Blobs that are kept while they are read, so that a network or a file that may vanish is asked for each once.

use std::io::{self, Write};

use floe_destination::BlobCache;
use floe_image::oci::Descriptor;
use floe_image::{BlobError, BlobSink as _, BlobSource, BlobWriter};

/// A source whose blobs stay in a cache.
pub(crate) struct Tee<'a> {
    pub(crate) source: &'a dyn BlobSource,
    /// `None`: the blobs are near, and nothing is kept.
    pub(crate) cache: Option<&'a BlobCache>,
}

impl BlobSource for Tee<'_> {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let Some(cache) = self.cache else { return self.source.copy_to(blob, out) };
        // A cached blob is verified before its first byte is handed out.
        match cache.copy_to(blob, out) {
            Err(BlobError::Missing(_)) => {}
            outcome => return outcome,
        }
        let mut both = Both { out, kept: cache.begin(Some(blob))? };
        self.source.copy_to(blob, &mut both)?;
        both.kept.commit(blob)
    }
}

struct Both<'a, 'cache> {
    out: &'a mut (dyn Write + Send),
    kept: Box<dyn BlobWriter + 'cache>,
}

impl Write for Both<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.kept.write_all(&bytes[..count])?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
