//! What a tag names before a push: one HEAD for the tag, or one GET for its manifest, whose blobs are taken to be there.

use std::sync::PoisonError;

use floe_image::oci::Descriptor;

use super::session::{Presence, PushSession};
use crate::registry::auth::Scope;
use crate::registry::manifest::{self, ManifestError, ManifestName};
use crate::{ManifestDocument, ParsedManifest};

/// More children of a previous index than are worth reading.
const MOST_PREVIOUS: usize = 16;

impl PushSession {
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
        work: impl AsyncFnOnce(manifest::Manifests<'_>, &Scope) -> Result<T, ManifestError>,
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
}
