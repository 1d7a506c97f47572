//! A fan-out is several sinks in place of one: each blob is packed once and written to all that lack it.

use std::io::{self, Write};

use floe_image::oci::Descriptor;
use floe_image::{BlobError, BlobSink, BlobWriter};

/// Several sinks as one.
pub struct FanOut<'a> {
    sinks: Vec<&'a dyn BlobSink>,
    /// Whether sinks that would ask later get blobs now.
    gives_now: bool,
}

impl<'a> FanOut<'a> {
    /// Joins sinks; none at all takes every blob and keeps nothing.
    #[must_use]
    pub fn new(sinks: Vec<&'a dyn BlobSink>) -> Self {
        Self { sinks, gives_now: false }
    }

    /// Joins sinks and gives each what it lacks now, also where it would ask later: for blobs that come from afar, and
    /// should come once.
    #[must_use]
    pub fn giving_now(sinks: Vec<&'a dyn BlobSink>) -> Self {
        Self { sinks, gives_now: true }
    }

    fn is_wanted(&self, sink: &dyn BlobSink, blob: &Descriptor) -> Result<bool, BlobError> {
        if self.gives_now { sink.holds(blob).map(|held| !held) } else { sink.wants(blob) }
    }
}

impl BlobSink for FanOut<'_> {
    fn holds(&self, blob: &Descriptor) -> Result<bool, BlobError> {
        for sink in &self.sinks {
            if !sink.holds(blob)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn asks_later(&self) -> bool {
        !self.gives_now && self.sinks.iter().all(|sink| sink.asks_later())
    }

    fn wants(&self, blob: &Descriptor) -> Result<bool, BlobError> {
        for sink in &self.sinks {
            if self.is_wanted(*sink, blob)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn begin(&self, known: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>, BlobError> {
        let mut writers = Vec::with_capacity(self.sinks.len());
        for sink in &self.sinks {
            if known.map_or(Ok(true), |blob| self.is_wanted(*sink, blob))? {
                writers.push(sink.begin(known)?);
            }
        }
        Ok(Box::new(FanOutWriter(writers)))
    }
}

/// One blob on its way into several sinks.
struct FanOutWriter<'a>(Vec<Box<dyn BlobWriter + 'a>>);

impl Write for FanOutWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for writer in &mut self.0 {
            writer.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.iter_mut().try_for_each(Write::flush)
    }
}

impl BlobWriter for FanOutWriter<'_> {
    fn commit(self: Box<Self>, blob: &Descriptor) -> Result<(), BlobError> {
        self.0.into_iter().try_for_each(|writer| writer.commit(blob))
    }
}
