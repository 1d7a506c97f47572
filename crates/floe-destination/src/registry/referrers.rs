//! Manifests that speak about another one: signatures, SBOMs, attestations.
//!
//! OCI distribution-spec v1.1, "Listing Referrers" and "Referrers Tag Schema". Where a registry has no referrers API,
//! the list is an index under the tag `sha256-<hex>`, which the writer keeps up to date.

use floe_image::oci::{Descriptor, Digest, Index, Manifest, MediaType, canonical_json};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};

use super::auth::Scope;
use super::client::Repository;
use super::exchange::Call;
use super::manifest::{ManifestError, ManifestName};
use super::response::ExchangeError;
use super::tags::next_page;
use crate::{MAX_DOCUMENT, ManifestDocument, ParsedManifest, ReadDocumentsError};

/// More pages than any image has referrers.
const MOST_PAGES: u32 = 1_000;

/// Referrers could not be listed or added to.
#[derive(Debug, thiserror::Error)]
pub enum ReferrersError {
    /// The registry could not be asked.
    #[error("cannot list what refers to '{name}'")]
    Exchange {
        /// The repository with the digest.
        name: String,
        /// Why.
        #[source]
        source: ExchangeError,
    },
    /// The list, or the tag that stands in for it, could not be read or written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The tag that stands in for the list names a document that is malformed.
    #[error(transparent)]
    Documents(#[from] ReadDocumentsError),
    /// The list is no OCI index.
    #[error("the list of what refers to '{name}' is malformed")]
    Malformed {
        /// The repository with the digest.
        name: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// The tag that stands in for the referrers API.
#[must_use]
pub fn referrers_tag(subject: Digest) -> String {
    format!("sha256-{}", subject.hex())
}

impl Repository {
    /// Lists the manifests whose `subject` is this one, of one artifact type or of all.
    ///
    /// # Errors
    /// [`ReferrersError`]; a registry without the API and without the tag has no referrers, which is no error.
    pub fn referrers(
        &self,
        subject: Digest,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>, ReferrersError> {
        let mut found = match self.by_api(subject, artifact_type)? {
            Some(found) => found,
            None => self.tagged_index(subject)?.map(|index| index.manifests).unwrap_or_default(),
        };
        // A registry may ignore the filter (`OCI-Filters-Applied` says whether it did).
        if let Some(wanted) = artifact_type {
            found.retain(|descriptor| {
                descriptor.other.get("artifactType").and_then(|it| it.as_str()) == Some(wanted.as_str())
            });
        }
        Ok(found)
    }

    /// Adds a manifest that was just written to its subject's tag, for a registry that keeps no list itself.
    ///
    /// Reads and writes the tag without a lock, as the specification has it: two writers at once can lose one entry.
    ///
    /// # Errors
    /// [`ReferrersError`].
    pub fn add_to_referrers_tag(
        &self,
        subject: Digest,
        referrer: &ManifestDocument,
    ) -> Result<(), ReferrersError> {
        let mut index = self.tagged_index(subject)?.unwrap_or_else(|| Index::new(Vec::new()));
        if index.manifests.iter().any(|known| known.digest == referrer.descriptor.digest) {
            return Ok(());
        }
        let mut entry = referrer.descriptor.clone();
        if let Ok(ParsedManifest::Manifest(manifest)) = referrer.parse() {
            let artifact_type = artifact_type(&manifest);
            entry.other.insert("artifactType".to_owned(), artifact_type.as_str().into());
            entry.annotations = manifest.annotations;
        }
        index.manifests.push(entry);
        let document = ManifestDocument::new(MediaType::Index, canonical_json::to_vec(&index));
        self.put_manifest(&document, Some(&referrers_tag(subject)))?;
        Ok(())
    }

    /// Asks the API; `None` when the registry has none: anything but a 200 with an OCI index says so.
    fn by_api(
        &self,
        subject: Digest,
        artifact_type: Option<&MediaType>,
    ) -> Result<Option<Vec<Descriptor>>, ReferrersError> {
        let name = self.full_name(&ManifestName::Digest(subject));
        let failure = |source| ReferrersError::Exchange { name: name.clone(), source };
        let line = self.primary.line(&self.shared);
        let first = async {
            let mut url = line.repository_url(&format!("referrers/{subject}")).await?;
            if let Some(wanted) = artifact_type {
                url.query_pairs_mut().append_pair("artifactType", wanted.as_str());
            }
            Ok(url)
        };
        let mut next = Some(self.shared.block_on(first).map_err(failure)?);
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(url) = next.take() else { break };
            let mut call = Call::new(Method::GET, url);
            call.headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.oci.image.index.v1+json"));
            call.limit = MAX_DOCUMENT;
            let answer = match self.shared.block_on(line.exchange(&call, &Scope::pull(line.repository))) {
                Ok(answer) => answer,
                Err(ExchangeError::Refused(refusal))
                    if !matches!(refusal.status, 401 | 403 | 429 | 500..) =>
                {
                    return Ok(None);
                }
                // A web page behind a redirect may be long or on plain HTTP: it is no index in any case.
                Err(ExchangeError::TooLong { .. } | ExchangeError::Redirect { .. }) => return Ok(None),
                Err(error) => return Err(failure(error)),
            };
            let media_type = answer.header(CONTENT_TYPE.as_str()).unwrap_or_default();
            let is_index = media_type.split(';').next().map(str::trim) == Some(MediaType::Index.as_str());
            if answer.status != StatusCode::OK || !is_index {
                return Ok(None);
            }
            let index: Index = serde_json::from_slice(&answer.body)
                .map_err(|source| ReferrersError::Malformed { name: name.clone(), source })?;
            found.extend(index.manifests);
            next = next_page(&line, &answer, &call.line()).map_err(failure)?;
        }
        Ok(Some(found))
    }

    fn tagged_index(&self, subject: Digest) -> Result<Option<Index>, ReferrersError> {
        let tag = ManifestName::Tag(referrers_tag(subject));
        let document = match self.manifest(&tag) {
            Ok(document) => document,
            Err(ManifestError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match document.parse()? {
            ParsedManifest::Index(index) => Ok(Some(index)),
            ParsedManifest::Manifest(_) => Ok(None),
        }
    }
}

/// What an artifact is: its own word, else its config's media type.
fn artifact_type(manifest: &Manifest) -> MediaType {
    manifest.artifact_type.clone().unwrap_or_else(|| manifest.config.media_type.clone())
}
