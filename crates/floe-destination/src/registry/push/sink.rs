//! The push session as a place for blobs that are still being packed.
//!
//! A blob of unknown digest leaves in one streaming PATCH, a known one in one PUT; whatever was sent is not asked for
//! again when the image is pushed. A commit does not wait for the registry's answer, so that the way there and back holds
//! up no packing: [`PushSession::push`] waits for all answers, and sends a blob again that was lost.

use std::io::{self, Write};
use std::thread;

use floe_image::oci::Descriptor;
use floe_image::{BlobError, BlobSink, BlobWriter};
use tokio::sync::OwnedSemaphorePermit;

use super::manifests::PushError;
use super::session::PushSession;
use crate::registry::blob_upload::BlobUpload;

impl BlobSink for PushSession {
    fn holds(&self, blob: &Descriptor) -> Result<bool, BlobError> {
        let asked = self.previous().map_err(PushError::from).and_then(|_| self.ensure(blob));
        asked.map_err(|error| BlobError::Other {
            action: format!("ask for blob {}", blob.digest),
            source: Box::new(error),
        })
    }

    fn begin(&self, known: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>, BlobError> {
        let turn = self.wait_for_turn();
        Ok(Box::new(SessionWriter { session: self, upload: Some(self.begin_upload(known)), turn }))
    }
}

/// A blob on its way into the session's repository.
struct SessionWriter<'a> {
    session: &'a PushSession,
    /// `None` once the upload has failed.
    upload: Option<BlobUpload>,
    turn: OwnedSemaphorePermit,
}

impl SessionWriter<'_> {
    /// Turns "the upload has failed" into the reason.
    fn reason(&mut self, error: io::Error) -> io::Error {
        match self.upload.take().and_then(BlobUpload::give_up) {
            Some(reason) => io::Error::other(reason),
            None => error,
        }
    }
}

impl Write for SessionWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(upload) = &mut self.upload else {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the upload has failed"));
        };
        upload.write(bytes).map_err(|error| self.reason(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        upload.flush().map_err(|error| self.reason(error))
    }
}

impl BlobWriter for SessionWriter<'_> {
    fn commit(mut self: Box<Self>, blob: &Descriptor) -> Result<(), BlobError> {
        let failure = |source: Box<dyn std::error::Error + Send + Sync>| BlobError::Other {
            action: format!("send blob {}", blob.digest),
            source,
        };
        let upload = self.upload.take().ok_or_else(|| failure("the upload has failed".into()))?;
        let ended = upload.end(blob).map_err(|error| failure(Box::new(error)))?;
        let turn = self.turn;
        let answer = thread::spawn(move || {
            let answer = ended.wait();
            drop(turn);
            answer
        });
        self.session.answer_later(blob.clone(), answer);
        Ok(())
    }
}
