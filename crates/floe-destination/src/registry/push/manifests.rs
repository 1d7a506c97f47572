//! The push itself: missing blobs first, then children before their index, the index before tags.

use floe_image::oci::Digest;
use floe_image::{BlobError, BlobSource};

use super::session::{Presence, PushReport, PushSession};
use crate::registry::Refusal;
use crate::registry::blob_upload::UploadError;
use crate::registry::client::OpenRegistryError;
use crate::registry::manifest::ManifestError;
use crate::registry::referrers::ReferrersError;
use crate::registry::response::ExchangeError;
use crate::{ManifestDocument, Manifests, ParsedManifest, ReadDocumentsError};

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

impl PushSession {
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
        let says_so = |refusal: &Refusal| {
            matches!(refusal.status, 400 | 404) || CODES.iter().any(|code| refusal.has_code(code))
        };
        has_assumed && error.refusal().is_some_and(says_so)
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
}

fn subject_of(document: &ManifestDocument) -> Option<Digest> {
    match document.parse() {
        Ok(ParsedManifest::Manifest(manifest)) => manifest.subject.map(|subject| subject.digest),
        Ok(ParsedManifest::Index(_)) | Err(_) => None,
    }
}
