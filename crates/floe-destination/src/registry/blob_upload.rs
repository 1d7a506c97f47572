//! One blob on its way into a repository, as its writer sees it: begun, written, ended, or given up.
//!
//! The bytes go through a [`Feed`] to [`Uploading`], which sends them from a thread of its own: a writer that packs waits
//! for the network only when that is slower than it.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::BytesMut;
use floe_image::oci::{Descriptor, Digest};
use reqwest::Url;
use tokio::sync::mpsc;

use super::client::Place;
use super::config::RegistryEvent;
use super::response::ExchangeError;
use super::shared::Shared;
use super::upload_feed::{Feed, Part};
use super::uploading::{Uploading, commit};

/// What is handed to the network at once: large enough that no thread switches often, small beside the window.
const PART_SIZE: usize = 256 << 10;

/// A blob could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The registry refused or could not be reached.
    #[error("cannot send {blob} to '{place}'")]
    Exchange {
        /// The digest, or that it is not known yet.
        blob: String,
        /// The host and repository.
        place: String,
        /// Why.
        #[source]
        source: Box<ExchangeError>,
    },
    /// The upload broke, the registry cannot go on where it stopped, and the first bytes are kept no more.
    #[error("the upload of {blob} to '{place}' broke and has to begin anew")]
    Lost {
        /// The digest, or that it is not known yet.
        blob: String,
        /// The host and repository.
        place: String,
        /// What broke it.
        #[source]
        source: Box<ExchangeError>,
    },
    /// The bytes written are not as many as the descriptor says; the registry would refuse them.
    #[error("blob {digest} has {written} bytes: expected {expected}")]
    WrongSize {
        /// The blob.
        digest: Digest,
        /// The size that its descriptor names.
        expected: u64,
        /// How many bytes were written.
        written: u64,
    },
    /// The blob that was written is another one than was announced.
    #[error("blob {written} was written: expected {expected}")]
    OtherBlob {
        /// What was announced.
        expected: Digest,
        /// What was committed.
        written: Digest,
    },
    /// The writer went away before the blob was whole.
    #[error("the upload of {blob} to '{place}' was given up")]
    Abandoned {
        /// The digest, or that it is not known yet.
        blob: String,
        /// The host and repository.
        place: String,
    },
}

impl UploadError {
    /// Whether sending the blob again from its first byte may succeed.
    pub(super) fn may_begin_anew(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}

/// The registry lost the upload or got other bytes than were sent: this upload is over, but not the blob.
pub(super) fn is_spoilt(error: &ExchangeError) -> bool {
    const CODES: [&str; 4] = ["DIGEST_INVALID", "SIZE_INVALID", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"];
    error.refusal().is_some_and(|refusal| {
        matches!(refusal.status, 404 | 416) || CODES.iter().any(|code| refusal.has_code(code))
    })
}

/// A blob that is being written to a repository.
///
/// The bytes leave from a thread of the upload's own. Dropped before [`Self::finish`], it leaves nothing.
pub(super) struct BlobUpload {
    shared: Arc<Shared>,
    place: Place,
    known: Option<Descriptor>,
    /// `None` once the blob is whole or given up.
    sender: Option<mpsc::Sender<Part>>,
    buffer: BytesMut,
    written: u64,
    /// Yields the location that a blob of unknown digest is committed at.
    thread: Option<JoinHandle<Result<Url, UploadError>>>,
}

impl BlobUpload {
    /// Begins an upload, at `location` where the registry named one already. No request is waited for.
    pub(super) fn begin(
        shared: &Arc<Shared>,
        place: &Place,
        known: Option<&Descriptor>,
        location: Option<Url>,
    ) -> Self {
        let digest = known.map(|blob| blob.digest);
        let events = Arc::clone(shared);
        let told = Box::new(move |bytes| events.tell(&RegistryEvent::Sent { digest, bytes }));
        let (sender, feed) = Feed::new(shared.config.replay_window, told);
        let uploading = Uploading { place: place.clone(), known: known.cloned(), feed };
        let theirs = Arc::clone(shared);
        let thread = thread::spawn(move || theirs.block_on(uploading.run(&theirs, location)));
        Self {
            shared: Arc::clone(shared),
            place: place.clone(),
            known: known.cloned(),
            sender: Some(sender),
            buffer: BytesMut::new(),
            written: 0,
            thread: Some(thread),
        }
    }

    /// Makes the blob appear under its digest.
    pub(super) fn finish(self, blob: &Descriptor) -> Result<(), UploadError> {
        self.end(blob)?.wait()
    }

    /// Hands on the blob's last bytes; they leave, and the blob appears, while the caller does other things.
    pub(super) fn end(mut self, blob: &Descriptor) -> Result<EndedUpload, UploadError> {
        if let Some(known) = &self.known
            && known.digest != blob.digest
        {
            return Err(UploadError::OtherBlob { expected: known.digest, written: blob.digest });
        }
        if self.written != blob.size {
            let (expected, written) = (blob.size, self.written);
            return Err(UploadError::WrongSize { digest: blob.digest, expected, written });
        }
        // A channel that is closed means that the upload has failed: the thread says why.
        let sent = self.send_buffer();
        if sent.is_ok()
            && let Some(sender) = self.sender.take()
        {
            // Closed when the registry has answered already, which the thread's result tells.
            drop(sender.blocking_send(Part::End));
        }
        let Some(thread) = self.thread.take() else {
            return Err(abandoned(Some(blob), &self.place));
        };
        let (shared, place) = (Arc::clone(&self.shared), self.place.clone());
        Ok(EndedUpload { shared, place, is_announced: self.known.is_some(), blob: blob.clone(), thread })
    }

    /// Gives the upload up. Returns why it had failed, when it was the upload that failed and not the writer.
    pub(super) fn give_up(mut self) -> Option<UploadError> {
        drop(self.sender.take());
        match join(self.thread.take()?) {
            Ok(_) | Err(UploadError::Abandoned { .. }) => None,
            Err(error) => Some(error),
        }
    }

    fn send_buffer(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = Part::Bytes(self.buffer.split().freeze());
        let sent = self.sender.as_ref().is_some_and(|sender| sender.blocking_send(part).is_ok());
        if sent { Ok(()) } else { Err(io::Error::new(io::ErrorKind::BrokenPipe, "the upload has failed")) }
    }
}

impl Write for BlobUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(known) = &self.known
            && self.written + bytes.len() as u64 > known.size
        {
            return Err(io::Error::other(format!("more bytes came than blob {} has", known.digest)));
        }
        self.buffer.reserve(PART_SIZE);
        let taken = bytes.len().min(PART_SIZE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        self.written += taken as u64;
        if self.buffer.len() >= PART_SIZE {
            self.send_buffer()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_buffer()
    }
}

/// A blob whose last byte was written.
pub(super) struct EndedUpload {
    shared: Arc<Shared>,
    place: Place,
    /// Whether the digest was known when the upload began: then it is whole with its last byte.
    is_announced: bool,
    blob: Descriptor,
    thread: JoinHandle<Result<Url, UploadError>>,
}

impl EndedUpload {
    /// Waits until the registry has the blob.
    pub(super) fn wait(self) -> Result<(), UploadError> {
        let Self { shared, place, is_announced, blob, thread } = self;
        let location = join(thread)?;
        if !is_announced {
            let committed = shared.block_on(commit(&place.line(&shared), &location, blob.digest));
            committed.map_err(|source| {
                let (blob, place) = (blob_name(Some(&blob)), place_name(&place));
                let source = Box::new(source);
                if is_spoilt(&source) {
                    UploadError::Lost { blob, place, source }
                } else {
                    UploadError::Exchange { blob, place, source }
                }
            })?;
        }
        shared.tell(&RegistryEvent::Uploaded { digest: blob.digest, size: blob.size });
        Ok(())
    }
}

fn join(thread: JoinHandle<Result<Url, UploadError>>) -> Result<Url, UploadError> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

pub(super) fn blob_name(blob: Option<&Descriptor>) -> String {
    blob.map_or_else(|| "a new blob".to_owned(), |blob| format!("blob {}", blob.digest))
}

pub(super) fn place_name(place: &Place) -> String {
    format!("{}/{}", place.host.name(), place.repository)
}

pub(super) fn abandoned(blob: Option<&Descriptor>, place: &Place) -> UploadError {
    UploadError::Abandoned { blob: blob_name(blob), place: place_name(place) }
}
