//! Where blobs go and where they come from: the two small traits between images and destinations.
//!
//! Packing writes into a [`BlobSink`] while digests are still unknown; a destination that wants
//! bytes later asks a [`BlobSource`]. A layout, an archive, a registry and floe's cache implement them.

use std::error::Error;
use std::io::{self, Write};

use crate::oci::{Descriptor, Digest};

/// A place that takes blobs, from several threads at once.
pub trait BlobSink: Send + Sync {
    /// Whether the place has the blob already.
    ///
    /// # Errors
    /// When the place cannot be asked.
    fn holds(&self, blob: &Descriptor) -> Result<bool, BlobError>;

    /// Whether the place asks a [`BlobSource`] for blobs of known digest in the end, in an order of its own, so that
    /// taking them now would only mean to keep them until then.
    fn asks_later(&self) -> bool {
        false
    }

    /// Whether a blob of known digest is to be written now.
    ///
    /// # Errors
    /// When the place cannot be asked.
    fn wants(&self, blob: &Descriptor) -> Result<bool, BlobError> {
        Ok(!self.asks_later() && !self.holds(blob)?)
    }

    /// Opens room for one blob; `known` is its descriptor where that is known beforehand, which
    /// lets a registry take it in one request. Dropping the writer without a commit leaves nothing.
    ///
    /// # Errors
    /// When the place has no room or refuses.
    fn begin(&self, known: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>, BlobError>;
}

/// Room for one blob that is not there until it is committed.
pub trait BlobWriter: Write + Send {
    /// Makes the blob appear, whole, under its digest. The descriptor is that of the bytes written.
    ///
    /// # Errors
    /// When the place cannot keep the blob; then nothing of it is left.
    fn commit(self: Box<Self>, blob: &Descriptor) -> Result<(), BlobError>;
}

/// A place that blobs can be read from.
pub trait BlobSource: Send + Sync {
    /// Writes a blob's bytes, as stored, into `out`. Either they hash to the blob's digest or this fails;
    /// on failure some bytes may have been written.
    ///
    /// # Errors
    /// When the blob is not there, cannot be read, or its bytes are not those that the digest names.
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError>;
}

/// Why a blob could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The source does not hold the blob.
    #[error("blob {0} is not there")]
    Missing(Digest),
    /// The bytes are not those that the descriptor names; using them would make a wrong image.
    #[error("blob {expected} has the digest {found} and {size} bytes")]
    WrongBytes {
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of the bytes that came.
        found: Digest,
        /// How many bytes came.
        size: u64,
    },
    /// The bytes could not be moved.
    #[error("cannot {action}")]
    Io {
        /// What was tried, with the value at fault: `write /srv/image/blobs/sha256/…`.
        action: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The place's own reason: a registry's answer, a tree that cannot be read.
    #[error("cannot {action}")]
    Other {
        /// What was tried, with the value at fault.
        action: String,
        /// The place's own error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}
