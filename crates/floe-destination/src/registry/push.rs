//! Pushing: what is missing goes there, and nothing is asked for twice.
//!
//! The order is that of the OCI distribution-spec v1.1, "Push", with what makes it fast: the tag first (the same
//! digest: done), then the previous manifest, whose blobs are taken to be there; the rest is asked for, mounted, or
//! sent, largest first; children before their index, the index before tags. [`super::push_sink`] makes
//! the session a `BlobSink`, so that layers which are still being packed stream into it.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use floe_image::image::PreviousImages;
use floe_image::oci::{Descriptor, Digest, Reference};
use floe_image::{BlobError, BlobSource};
use reqwest::Url;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::auth::Scope;
use super::blob_mount::{Mounted, mount};
use super::blob_upload::{BlobUpload, UploadError};
use super::client::{OpenRegistryError, Registry, Repository};
use super::config::RegistryEvent;
use super::manifest::{ManifestError, ManifestName};
use super::referrers::ReferrersError;
use super::response::ExchangeError;
use super::uploading::exists;
use crate::parallel;
use crate::{ManifestDocument, Manifests, ParsedManifest, ReadDocumentsError};

/// More children of a previous index than are worth reading.
const MOST_PREVIOUS: usize = 16;

/// What floe knows beforehand about a push.
#[derive(Clone, Debug, Default)]
pub struct PushConfig {
    /// Tags whose manifests say which blobs are there, beside the target's own; the first that exists counts.
    pub previous_tags: Vec<String>,
    /// Other repositories on the same host that hold a blob, such as that of the base image.
    pub mount_sources: BTreeMap<Digest, String>,
    /// Another repository on the same host that holds every blob, since the same image was pushed there just now.
    pub mount_from: Option<String>,
}

/// What a push did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushReport {
    /// The manifest or index that the tags name now.
    pub manifest: Descriptor,
    /// Whether every tag named it before.
    pub unchanged: bool,
    /// Blobs that were sent, those streamed into the sink included.
    pub sent_blobs: u64,
    /// Bytes of those blobs and of the manifests that were sent.
    pub sent_bytes: u64,
    /// Blobs that were taken over from another repository.
    pub mounted_blobs: u64,
    /// Blobs that were there.
    pub present_blobs: u64,
}

/// An image could not be pushed. No tag names it then, unless another tag's turn had come.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The repository could not be opened.
    #[error(transparent)]
    Open(#[from] OpenRegistryError),
    /// A manifest could not be asked for, read or written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A blob could not be asked for.
    #[error("cannot ask '{repository}' for blob {digest}")]
    Ask {
        /// The host and repository.
        repository: String,
        /// The blob.
        digest: Digest,
        /// Why.
        #[source]
        source: Box<ExchangeError>,
    },
    /// A blob could not be sent.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// A blob that the registry lacks could not be read.
    #[error("cannot read blob {digest}, which '{repository}' lacks")]
    Source {
        /// The host and repository.
        repository: String,
        /// The blob.
        digest: Digest,
        /// Why.
        #[source]
        source: Box<BlobError>,
    },
    /// A document that is to be pushed is malformed; pushing it would break its readers.
    #[error(transparent)]
    Documents(#[from] ReadDocumentsError),
    /// The list of a subject's referrers could not be kept up to date.
    #[error(transparent)]
    Referrers(#[from] ReferrersError),
}

/// A push into one repository, from the first blob to the last tag.
#[derive(Debug)]
pub struct PushSession {
    repository: Repository,
    target: Reference,
    config: PushConfig,
    state: Mutex<State>,
    previous: OnceLock<Vec<ManifestDocument>>,
    pub(super) previous_images: OnceLock<PreviousImages>,
    /// Held while the previous manifest is read, so that many packing threads read it once.
    reading: Mutex<()>,
    /// One for each blob that may be streamed at once, those whose answer is waited for included.
    turns: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    /// Blobs that are in the repository.
    blobs: BTreeMap<Digest, Presence>,
    /// Blobs that the registry said it lacks: they are not asked for again.
    lacking: BTreeSet<Digest>,
    /// Manifests that are in the repository, by the word of a previous index.
    manifests: BTreeSet<Digest>,
    /// Uploads that a refused mount has begun.
    begun: BTreeMap<Digest, Url>,
    /// Blobs whose last byte was written and that the registry has not confirmed yet.
    unanswered: Vec<(Descriptor, JoinHandle<Result<(), UploadError>>)>,
    /// What tags named when they were asked for.
    tags: BTreeMap<String, Option<Descriptor>>,
    /// Other repositories on this host that hold a blob.
    mount_sources: BTreeMap<Digest, String>,
    sent_blobs: u64,
    sent_bytes: u64,
    mounted: u64,
    present: u64,
}

impl State {
    /// Whether a blob is there or on its way.
    fn has(&self, digest: Digest) -> bool {
        self.blobs.contains_key(&digest) || self.unanswered.iter().any(|(blob, _)| blob.digest == digest)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// The registry said so in this session.
    Sure,
    /// A previous manifest names it.
    Assumed,
}

impl PushSession {
    /// Opens a session; no request is sent.
    ///
    /// # Errors
    /// [`OpenRegistryError`].
    pub fn open(
        registry: &Registry,
        target: &Reference,
        config: PushConfig,
    ) -> Result<Self, OpenRegistryError> {
        let state = State { mount_sources: config.mount_sources.clone(), ..State::default() };
        Ok(Self {
            repository: registry.repository(target)?,
            target: target.clone(),
            config,
            state: Mutex::new(state),
            previous: OnceLock::new(),
            previous_images: OnceLock::new(),
            reading: Mutex::default(),
            turns: Arc::new(Semaphore::new(registry.shared.config.upload_limit)),
        })
    }

    /// Takes blobs over from where they are said to be, as far as that is on the same host.
    pub fn mount_from(&self, places: &BTreeMap<Digest, Reference>) {
        let here = places.iter().filter(|(_, place)| place.host() == self.target.host());
        let here = here.map(|(digest, place)| (*digest, place.repository().to_owned()));
        self.lock().mount_sources.extend(here);
    }

    /// The repository that is pushed into.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// What a tag of the repository names; asked with one HEAD, once.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn tagged(&self, tag: &str) -> Result<Option<Descriptor>, ManifestError> {
        if let Some(known) = self.lock().tags.get(tag) {
            return Ok(known.clone());
        }
        let found = self.at_primary(async |manifests, scope| {
            manifests.head(&ManifestName::Tag(tag.to_owned()), scope).await
        })?;
        self.lock().tags.insert(tag.to_owned(), found.clone());
        Ok(found)
    }

    /// The manifests that the repository's tag named before: the image's own first, or an index and then its
    /// children. Empty for a first push. Read once, with one GET for each.
    ///
    /// # Errors
    /// [`ManifestError`]. A previous manifest that is malformed counts as none.
    pub fn previous(&self) -> Result<&[ManifestDocument], ManifestError> {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.previous.get() {
            return Ok(known);
        }
        let documents = self.read_previous()?;
        for document in &documents {
            self.assume(document);
        }
        drop(reading);
        Ok(self.previous.get_or_init(|| documents))
    }

    fn read_previous(&self) -> Result<Vec<ManifestDocument>, ManifestError> {
        let tags = self.target.tag().into_iter().chain(self.config.previous_tags.iter().map(String::as_str));
        for tag in tags {
            if matches!(self.lock().tags.get(tag), Some(None)) {
                continue;
            }
            let top = match self.read(&ManifestName::Tag(tag.to_owned())) {
                Ok(top) => top,
                Err(ManifestError::Missing { .. }) => {
                    self.lock().tags.insert(tag.to_owned(), None);
                    continue;
                }
                // Something foreign under the tag is no reason not to push over it.
                Err(ManifestError::MediaType { .. } | ManifestError::Malformed { .. }) => continue,
                Err(error) => return Err(error),
            };
            self.lock().tags.insert(tag.to_owned(), Some(top.descriptor.clone()));
            let mut documents = vec![top];
            if let Ok(ParsedManifest::Index(index)) = documents[0].parse() {
                for child in
                    index.manifests.iter().filter(|it| it.media_type.is_manifest()).take(MOST_PREVIOUS)
                {
                    match self.read(&ManifestName::Digest(child.digest)) {
                        Ok(child) => documents.push(child),
                        Err(ManifestError::Exchange { action, name, source }) => {
                            return Err(ManifestError::Exchange { action, name, source });
                        }
                        // An index may name children that were deleted.
                        Err(_) => {}
                    }
                }
            }
            return Ok(documents);
        }
        Ok(Vec::new())
    }

    /// Reads from the registry itself: a mirror's word is nothing to rely on in a push.
    fn read(&self, name: &ManifestName) -> Result<ManifestDocument, ManifestError> {
        self.at_primary(async |manifests, scope| manifests.get(name, scope).await)
    }

    fn at_primary<T>(
        &self,
        work: impl AsyncFnOnce(super::manifest::Manifests<'_>, &Scope) -> Result<T, ManifestError>,
    ) -> Result<T, ManifestError> {
        let place = &self.repository.primary;
        let scope = Scope::push(&place.repository);
        self.repository.shared.block_on(work(self.repository.at(place), &scope))
    }

    /// Takes what a manifest in the repository names to be there too.
    fn assume(&self, document: &ManifestDocument) {
        let mut state = self.lock();
        match document.parse() {
            Ok(ParsedManifest::Manifest(manifest)) => {
                state.manifests.insert(document.descriptor.digest);
                for blob in manifest.layers.iter().chain([&manifest.config]) {
                    state.blobs.entry(blob.digest).or_insert(Presence::Assumed);
                }
            }
            Ok(ParsedManifest::Index(_)) | Err(_) => {}
        }
    }

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

    /// Pushes manifests and whatever blobs they name that are not there, and gives the top one its tags; without any it
    /// is pushed by its digest alone.
    ///
    /// `blobs` yields a blob that the registry lacks; it is asked only for those, from several threads.
    ///
    /// # Errors
    /// [`PushError`]. A manifest is only sent when everything that it names is there.
    pub fn push(
        &self,
        manifests: &Manifests,
        tags: &[String],
        blobs: &dyn BlobSource,
    ) -> Result<PushReport, PushError> {
        match self.settle() {
            // A blob that was lost is asked for and sent again like any other.
            Err(error) if !error.may_begin_anew() => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let top = manifests.top();
        let digest = top.descriptor.digest;
        let mut stale = Vec::new();
        for tag in tags {
            if self.tagged(tag)?.is_none_or(|tagged| tagged.digest != digest) {
                stale.push(tag.as_str());
            }
        }
        let unchanged = !tags.is_empty() && stale.is_empty();
        if unchanged {
            return Ok(self.report(top, true));
        }
        if stale.len() < tags.len() {
            // Another tag names it already: it and all that it names are there.
            self.put(top, &stale)?;
            return Ok(self.report(top, false));
        }
        self.previous()?;
        let wanted = manifests.blobs()?;
        self.send_missing(&wanted, blobs)?;
        match self.put_all(manifests.documents(), &stale) {
            Err(PushError::Manifest(error)) if self.is_misled(&error) => {
                // What the previous manifest named is gone: everything is asked for once, then sent.
                let mut state = self.lock();
                state.blobs.retain(|_, presence| *presence == Presence::Sure);
                state.manifests.clear();
                drop(state);
                self.send_missing(&wanted, blobs)?;
                self.put_all(manifests.documents(), &stale)?;
            }
            result => result?,
        }
        Ok(self.report(top, false))
    }

    /// Whether a refusal may come from having believed a previous manifest.
    fn is_misled(&self, error: &ManifestError) -> bool {
        const CODES: [&str; 3] = ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"];
        let state = self.lock();
        let has_assumed = !state.manifests.is_empty()
            || state.blobs.values().any(|presence| *presence == Presence::Assumed);
        let says_so = |refusal: &super::Refusal| {
            matches!(refusal.status, 400 | 404) || CODES.iter().any(|code| refusal.has_code(code))
        };
        has_assumed && error.refusal().is_some_and(says_so)
    }

    fn send_missing(&self, wanted: &[Descriptor], blobs: &dyn BlobSource) -> Result<(), PushError> {
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

    fn put_all(&self, documents: &[ManifestDocument], tags: &[&str]) -> Result<(), PushError> {
        let Some((top, children)) = documents.split_last() else { return Ok(()) };
        for child in children {
            if !self.lock().manifests.contains(&child.descriptor.digest) {
                self.put(child, &[])?;
            }
        }
        self.put(top, tags)
    }

    /// Writes a manifest under each tag, or under its digest when there is none.
    fn put(&self, document: &ManifestDocument, tags: &[&str]) -> Result<(), PushError> {
        let names: Vec<Option<&str>> =
            if tags.is_empty() { vec![None] } else { tags.iter().copied().map(Some).collect() };
        for tag in names {
            let answer = self.repository.put_manifest(document, tag)?;
            let mut state = self.lock();
            state.sent_bytes += document.bytes.len() as u64;
            if let Some(tag) = tag {
                state.tags.insert(tag.to_owned(), Some(document.descriptor.clone()));
            }
            drop(state);
            if let (None, Some(subject)) = (answer.subject, subject_of(document)) {
                self.repository.add_to_referrers_tag(subject, document)?;
            }
        }
        Ok(())
    }

    /// What was done since the last report.
    fn report(&self, top: &ManifestDocument, unchanged: bool) -> PushReport {
        let mut state = self.lock();
        let assumed = state.blobs.values().filter(|presence| **presence == Presence::Assumed).count();
        PushReport {
            manifest: top.descriptor.clone(),
            unchanged,
            sent_blobs: take(&mut state.sent_blobs),
            sent_bytes: take(&mut state.sent_bytes),
            mounted_blobs: take(&mut state.mounted),
            present_blobs: take(&mut state.present) + assumed as u64,
        }
    }

    fn repository_name(&self) -> String {
        format!("{}/{}", self.target.host(), self.target.repository())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a few insertions; a panic between two leaves what a failed request would leave.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn subject_of(document: &ManifestDocument) -> Option<Digest> {
    match document.parse() {
        Ok(ParsedManifest::Manifest(manifest)) => manifest.subject.map(|subject| subject.digest),
        Ok(ParsedManifest::Index(_)) | Err(_) => None,
    }
}
