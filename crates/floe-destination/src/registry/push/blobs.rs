//! Blobs on their way: each is known to be there, mounted, asked for, or sent, largest first.

use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use floe_image::BlobSource;
use floe_image::oci::{Descriptor, Digest};
use tokio::sync::OwnedSemaphorePermit;

use super::manifests::PushError;
use super::session::{Presence, PushSession};
use crate::parallel;
use crate::registry::blob_mount::{Mounted, mount};
use crate::registry::blob_upload::{BlobUpload, UploadError};
use crate::registry::config::RegistryEvent;
use crate::registry::uploading::exists;

impl PushSession {
    /// Whether the repository has a blob, or gets it by a mount.
    pub(super) fn ensure(&self, blob: &Descriptor) -> Result<bool, PushError> {
        if self.lock().has(blob.digest) {
            return Ok(true);
        }
        if self.lock().lacking.contains(&blob.digest) {
            return Ok(false);
        }
        let (place, shared) = (&self.repository.primary, &self.repository.shared);
        let line = place.line(shared);
        let failure = |source| PushError::Ask {
            repository: self.repository_name(),
            digest: blob.digest,
            source: Box::new(source),
        };
        let config = &self.config;
        // A blob that is there already is mounted just the same, so nothing need be asked first.
        let source =
            config.mount_from.clone().or_else(|| self.lock().mount_sources.get(&blob.digest).cloned());
        if let Some(source) = source {
            match shared.block_on(mount(&line, blob.digest, &source)).map_err(failure)? {
                Mounted::Done => {
                    self.lock().mounted += 1;
                    self.found(blob.digest, &RegistryEvent::Mounted(blob.digest));
                    return Ok(true);
                }
                Mounted::Upload(location) => {
                    self.lock().begun.insert(blob.digest, location);
                }
                Mounted::Refused => {}
            }
        }
        if shared.block_on(exists(&line, blob.digest)).map_err(failure)? {
            self.lock().present += 1;
            self.found(blob.digest, &RegistryEvent::Present(blob.digest));
            return Ok(true);
        }
        self.lock().lacking.insert(blob.digest);
        Ok(false)
    }

    fn found(&self, digest: Digest, event: &RegistryEvent) {
        self.lock().blobs.insert(digest, Presence::Sure);
        self.repository.shared.tell(event);
    }

    /// Begins to send a blob, where a refused mount has begun already if it has.
    pub(super) fn begin_upload(&self, known: Option<&Descriptor>) -> BlobUpload {
        let location = known.and_then(|blob| self.lock().begun.remove(&blob.digest));
        BlobUpload::begin(&self.repository.shared, &self.repository.primary, known, location)
    }

    fn sent(&self, blob: &Descriptor) {
        let mut state = self.lock();
        state.blobs.insert(blob.digest, Presence::Sure);
        state.sent_blobs += 1;
        state.sent_bytes += blob.size;
    }

    /// Waits until one more blob may be streamed into the session.
    pub(super) fn wait_for_turn(&self) -> OwnedSemaphorePermit {
        let turn = Arc::clone(&self.turns).acquire_owned();
        self.repository.shared.block_on(turn).expect("the semaphore is never closed")
    }

    /// Takes over an upload whose last byte was written; [`Self::push`] waits for the registry's answer.
    pub(super) fn answer_later(&self, blob: Descriptor, answer: JoinHandle<Result<(), UploadError>>) {
        self.lock().unanswered.push((blob, answer));
    }

    /// Waits until the registry has answered every blob that was streamed into the session.
    ///
    /// # Errors
    /// The first failure; one that sending the blob again may mend only when there is no other.
    pub fn settle(&self) -> Result<(), UploadError> {
        let unanswered = take(&mut self.lock().unanswered);
        let mut failure: Option<UploadError> = None;
        for (blob, answer) in unanswered {
            match answer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Ok(()) => self.sent(&blob),
                Err(error) if failure.as_ref().is_none_or(UploadError::may_begin_anew) => {
                    failure = Some(error)
                }
                Err(_later) => {}
            }
        }
        failure.map_or(Ok(()), Err)
    }

    pub(super) fn send_missing(
        &self,
        wanted: &[Descriptor],
        blobs: &dyn BlobSource,
    ) -> Result<(), PushError> {
        let config = &self.repository.shared.config;
        let missing = Mutex::new(Vec::new());
        parallel::for_each(wanted, config.request_limit, |blob| {
            if !self.ensure(blob)? {
                missing.lock().unwrap_or_else(PoisonError::into_inner).push(blob.clone());
            }
            Ok::<_, PushError>(())
        })?;
        let mut missing = missing.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Largest first: the last upload to end is then a short one.
        missing.sort_by_key(|blob| (std::cmp::Reverse(blob.size), blob.digest));
        parallel::for_each(&missing, config.upload_limit, |blob| self.send(blob, blobs))
    }

    /// Sends one blob, from its first byte again when an upload is lost.
    fn send(&self, blob: &Descriptor, blobs: &dyn BlobSource) -> Result<(), PushError> {
        let attempts = self.repository.shared.config.retry.attempts;
        let mut losses = 0;
        loop {
            let mut upload = self.begin_upload(Some(blob));
            let error = match blobs.copy_to(blob, &mut upload) {
                Ok(()) => match upload.finish(blob) {
                    Ok(()) => {
                        self.sent(blob);
                        return Ok(());
                    }
                    Err(error) => error,
                },
                Err(source) => match upload.give_up() {
                    Some(error) => error,
                    None => {
                        let repository = self.repository_name();
                        let source = Box::new(source);
                        return Err(PushError::Source { repository, digest: blob.digest, source });
                    }
                },
            };
            losses += 1;
            if !error.may_begin_anew() || losses >= attempts {
                return Err(error.into());
            }
        }
    }
}
