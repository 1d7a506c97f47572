//! Copying: manifests and blobs go from a source to destinations, byte for byte.
//!
//! One destination takes blobs as it likes best: a registry several at once and only those that it lacks, an archive in
//! its own order, each verified by the source while it passes. Several destinations of a source that is far away share
//! one transfer. Nothing appears anywhere before all bytes of the image have come.

use std::io::{self, Write};

use floe_image::oci::Descriptor;
use floe_image::{BlobError, BlobSink, BlobSource};

use crate::parallel;
use crate::{DeliverError, Delivered, Destination, FanOut, ImageName, ImageSource, Manifests};

/// Blobs that come side by side when several destinations share a transfer.
const TRANSFERS: usize = 4;

/// Who is told how far a copy is; called from several threads.
pub trait CopyObserver: Send + Sync {
    /// It is known how many blobs may move, and their bytes. Those that the destinations hold are never begun.
    fn planned(&self, blobs: usize, bytes: u64);

    /// A blob begins to move; it begins anew when a connection was lost.
    fn begun<'a>(&'a self, blob: &'a Descriptor) -> Box<dyn BlobObserver + 'a>;
}

/// Who is told how far one blob is; dropped without [`done`](Self::done) when it failed.
pub trait BlobObserver: Send {
    /// Bytes of the blob have passed.
    fn moved(&self, bytes: u64);

    /// All bytes of the blob have passed, and were the right ones.
    fn done(self: Box<Self>);
}

/// Makes what `manifests` name appear at each destination.
///
/// A destination that carries no name itself gets `name`, else what the image is called at the source.
///
/// # Errors
///
/// When a blob cannot be read or written. A destination before the one at fault has the image then.
pub fn copy(
    source: &dyn ImageSource,
    manifests: &Manifests,
    name: Option<&ImageName>,
    destinations: Vec<Box<dyn Destination>>,
    observer: &dyn CopyObserver,
) -> Result<Vec<Delivered>, DeliverError> {
    let blobs = manifests.blobs()?;
    let is_shared = destinations.len() > 1 && source.is_remote();
    // From a place on this machine each destination reads for itself.
    let times = if is_shared { 1 } else { destinations.len() };
    let bytes: u64 = blobs.iter().map(|blob| blob.size).sum();
    observer.planned(blobs.len() * times, bytes.saturating_mul(times as u64));
    let watched = Watched { source, observer };
    if is_shared {
        let sinks = destinations.iter().map(|destination| destination.sink()).collect();
        let sinks = FanOut::giving_now(sinks);
        parallel::for_each(&blobs, TRANSFERS, |blob| transfer(blob, &watched, &sinks))?;
    }
    let name = name.or_else(|| source.name());
    destinations.into_iter().map(|destination| destination.finish(manifests, name, &watched)).collect()
}

/// Gives blobs to a sink that keeps them, as far as it lacks them.
///
/// # Errors
///
/// When a blob cannot be read or written.
pub fn keep(
    source: &dyn ImageSource,
    blobs: &[Descriptor],
    sink: &dyn BlobSink,
    observer: &dyn CopyObserver,
) -> Result<(), DeliverError> {
    observer.planned(blobs.len(), blobs.iter().map(|blob| blob.size).sum());
    let watched = Watched { source, observer };
    parallel::for_each(blobs, TRANSFERS, |blob| transfer(blob, &watched, sink))
}

/// Gives a blob to a sink that lacks it.
fn transfer(blob: &Descriptor, blobs: &dyn BlobSource, sink: &dyn BlobSink) -> Result<(), DeliverError> {
    let give = || {
        if !sink.wants(blob)? {
            return Ok(());
        }
        let mut writer = sink.begin(Some(blob))?;
        blobs.copy_to(blob, &mut writer)?;
        writer.commit(blob)
    };
    give().map_err(|source| DeliverError::Blob { digest: blob.digest, source })
}

/// A source whose blobs are watched while they pass.
struct Watched<'a> {
    source: &'a dyn ImageSource,
    observer: &'a dyn CopyObserver,
}

impl BlobSource for Watched<'_> {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let mut out = Counting { out, observer: self.observer.begun(blob) };
        self.source.copy_to(blob, &mut out)?;
        out.observer.done();
        Ok(())
    }
}

/// Tells an observer of the bytes that pass.
struct Counting<'a> {
    out: &'a mut (dyn Write + Send),
    observer: Box<dyn BlobObserver + 'a>,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.observer.moved(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
