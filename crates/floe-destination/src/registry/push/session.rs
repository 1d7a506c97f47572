//! A session: one repository that is pushed into, what is known of it, and what was done.
//!
//! Packing threads share it, so that nothing is asked for twice: what the registry said stays known until the last tag.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use floe_image::image::PreviousImages;
use floe_image::oci::{Descriptor, Digest, Reference};
use reqwest::Url;
use tokio::sync::Semaphore;

use crate::ManifestDocument;
use crate::registry::UploadError;
use crate::registry::client::{OpenRegistryError, Registry, Repository};

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

/// A push into one repository, from the first blob to the last tag.
#[derive(Debug)]
pub struct PushSession {
    pub(super) repository: Repository,
    pub(super) target: Reference,
    pub(super) config: PushConfig,
    pub(super) state: Mutex<State>,
    pub(super) previous: OnceLock<Vec<ManifestDocument>>,
    pub(super) previous_images: OnceLock<PreviousImages>,
    /// Held while the previous manifest is read, so that many packing threads read it once.
    pub(super) reading: Mutex<()>,
    /// One for each blob that may be streamed at once, those whose answer is waited for included.
    pub(super) turns: Arc<Semaphore>,
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

    /// What was done since the last report.
    pub(super) fn report(&self, top: &ManifestDocument, unchanged: bool) -> PushReport {
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

    pub(super) fn repository_name(&self) -> String {
        format!("{}/{}", self.target.host(), self.target.repository())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a few insertions; a panic between two leaves what a failed request would leave.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Blobs that are in the repository.
    pub(super) blobs: BTreeMap<Digest, Presence>,
    /// Blobs that the registry said it lacks: they are not asked for again.
    pub(super) lacking: BTreeSet<Digest>,
    /// Manifests that are in the repository, by the word of a previous index.
    pub(super) manifests: BTreeSet<Digest>,
    /// Uploads that a refused mount has begun.
    pub(super) begun: BTreeMap<Digest, Url>,
    /// Blobs whose last byte was written and that the registry has not confirmed yet.
    pub(super) unanswered: Vec<(Descriptor, JoinHandle<Result<(), UploadError>>)>,
    /// What tags named when they were asked for.
    pub(super) tags: BTreeMap<String, Option<Descriptor>>,
    /// Other repositories on this host that hold a blob.
    pub(super) mount_sources: BTreeMap<Digest, String>,
    pub(super) sent_blobs: u64,
    pub(super) sent_bytes: u64,
    pub(super) mounted: u64,
    pub(super) present: u64,
}

impl State {
    /// Whether a blob is there or on its way.
    pub(super) fn has(&self, digest: Digest) -> bool {
        self.blobs.contains_key(&digest) || self.unanswered.iter().any(|(blob, _)| blob.digest == digest)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// The registry said so in this session.
    Sure,
    /// A previous manifest names it.
    Assumed,
}
