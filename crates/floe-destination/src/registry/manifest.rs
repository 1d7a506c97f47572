//! Manifests and indexes in a repository: asked for, read, written, deleted.
//!
//! OCI distribution-spec v1.1, "Pulling manifests", "Pushing Manifests", "Deleting Manifests". Nothing of more than
//! 4 MiB is read, and nothing is believed whose bytes do not hash to the digest that was asked for or announced.

use std::fmt;

use bytes::Bytes;
use floe_image::oci::{Descriptor, Digest, MediaType, Reference};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::auth::Scope;
use super::client::{Place, Repository};
use super::exchange::{Call, Line};
use super::registries_conf::Serves;
use super::response::ExchangeError;
use crate::{MAX_DOCUMENT, ManifestDocument};

/// Every kind of manifest that floe reads, OCI's first.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// How a repository names a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ManifestName {
    /// By a tag, which may name another manifest tomorrow.
    Tag(String),
    /// By its digest.
    Digest(Digest),
}

impl ManifestName {
    /// What a reference names: its digest when it has one, else its tag.
    #[must_use]
    pub fn of(reference: &Reference) -> Self {
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Self::Digest(digest),
            (None, tag) => Self::Tag(tag.unwrap_or("latest").to_owned()),
        }
    }
}

impl fmt::Display for ManifestName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => formatter.write_str(tag),
            Self::Digest(digest) => digest.fmt(formatter),
        }
    }
}

/// What the registry said to a manifest that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutManifest {
    /// The manifest's `subject`, when the registry keeps the list of its referrers itself (`OCI-Subject`).
    pub subject: Option<Digest>,
}

/// A manifest could not be asked for, read, written or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The repository has no such manifest.
    #[error("'{name}' is not there")]
    Missing {
        /// The repository with the tag or digest.
        name: String,
    },
    /// The registry refused or could not be reached.
    #[error("cannot {action} '{name}'")]
    Exchange {
        /// `read`, `write` or `delete`.
        action: &'static str,
        /// The repository with the tag or digest.
        name: String,
        /// Why.
        #[source]
        source: ExchangeError,
    },
    /// The bytes are not those that the digest names; using them would make a wrong image.
    #[error("'{name}' came with the digest {found}: expected {expected}")]
    WrongDigest {
        /// The repository with the tag or digest.
        name: String,
        /// What was asked for or announced.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The manifest is neither OCI's nor Docker's second schema.
    #[error("'{name}' is a {media_type}: expected an OCI or Docker schema 2 manifest or index")]
    MediaType {
        /// The repository with the tag or digest.
        name: String,
        /// What it is.
        media_type: MediaType,
    },
    /// The bytes do not follow the specification of their media type.
    #[error("'{name}' is malformed")]
    Malformed {
        /// The repository with the tag or digest.
        name: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

impl ManifestError {
    /// The registry's answer, when it gave one.
    #[must_use]
    pub fn refusal(&self) -> Option<&super::Refusal> {
        match self {
            Self::Exchange { source, .. } => source.refusal(),
            _ => None,
        }
    }
}

impl Repository {
    /// Asks for a manifest's descriptor with one HEAD; `None` when it is not there.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn descriptor(&self, name: &ManifestName) -> Result<Option<Descriptor>, ManifestError> {
        self.shared.block_on(async {
            let mut result = Ok(None);
            for place in self.pull_places(name) {
                result = self.at(place).head(name, &Scope::pull(&place.repository)).await;
                if matches!(result, Ok(Some(_))) {
                    break;
                }
            }
            result
        })
    }

    /// Reads a manifest or index, from a mirror where one has it.
    ///
    /// # Errors
    /// [`ManifestError`]; [`ManifestError::Missing`] when it is not there.
    pub fn manifest(&self, name: &ManifestName) -> Result<ManifestDocument, ManifestError> {
        self.shared.block_on(async {
            let mut result = Err(ManifestError::Missing { name: self.full_name(name) });
            for place in self.pull_places(name) {
                result = self.at(place).get(name, &Scope::pull(&place.repository)).await;
                if result.is_ok() {
                    break;
                }
            }
            result
        })
    }

    /// Writes a manifest or index, under a tag or under its digest alone. What it names must be there already.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn put_manifest(
        &self,
        document: &ManifestDocument,
        tag: Option<&str>,
    ) -> Result<PutManifest, ManifestError> {
        self.shared.block_on(self.at(&self.primary).put(document, tag))
    }

    /// Deletes a manifest by its digest, with all its tags, or a tag alone. False when it was not there.
    ///
    /// Not every registry deletes, and many delete no tag alone; such a refusal is an error.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn delete_manifest(&self, name: &ManifestName) -> Result<bool, ManifestError> {
        self.shared.block_on(self.at(&self.primary).delete(name))
    }

    /// The places that a pull asks, in order; the registry itself is the last.
    pub(super) fn pull_places(&self, name: &ManifestName) -> impl Iterator<Item = &Place> {
        let by_digest = matches!(name, ManifestName::Digest(_));
        let serves = move |place: &&Place| match place.serves {
            Serves::All => true,
            Serves::DigestOnly => by_digest,
            Serves::TagOnly => !by_digest,
        };
        self.mirrors.iter().filter(serves).chain([&self.primary])
    }

    pub(super) fn at<'a>(&'a self, place: &'a Place) -> Manifests<'a> {
        Manifests { line: place.line(&self.shared) }
    }

    /// A manifest's name as the user would write it.
    pub(super) fn full_name(&self, name: &ManifestName) -> String {
        full_name(self.name.host(), self.name.repository(), name)
    }
}

fn full_name(host: &str, repository: &str, name: &ManifestName) -> String {
    let separator = if matches!(name, ManifestName::Tag(_)) { ':' } else { '@' };
    format!("{host}/{repository}{separator}{name}")
}

/// The manifests of one repository on one host.
pub(super) struct Manifests<'a> {
    line: Line<'a>,
}

impl Manifests<'_> {
    fn full_name(&self, name: &ManifestName) -> String {
        full_name(self.line.host.name(), self.line.repository, name)
    }

    fn failure<'a>(
        &'a self,
        action: &'static str,
        name: &'a ManifestName,
    ) -> impl Fn(ExchangeError) -> ManifestError + 'a {
        move |source| ManifestError::Exchange { action, name: self.full_name(name), source }
    }

    async fn call(&self, method: Method, name: &ManifestName) -> Result<Call, ExchangeError> {
        let url = self.line.repository_url(&format!("manifests/{name}")).await?;
        let mut call = Call::new(method, url);
        call.headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        call.understood = &[404];
        call.limit = MAX_DOCUMENT;
        Ok(call)
    }

    pub(super) async fn head(
        &self,
        name: &ManifestName,
        scope: &Scope,
    ) -> Result<Option<Descriptor>, ManifestError> {
        let failure = self.failure("read", name);
        let call = self.call(Method::HEAD, name).await.map_err(&failure)?;
        let answer = self.line.exchange(&call, scope).await.map_err(&failure)?;
        if answer.status == 404 {
            return Ok(None);
        }
        let digest = answer.header("docker-content-digest").and_then(|digest| digest.parse().ok());
        let size = answer.header(CONTENT_LENGTH.as_str()).and_then(|size| size.parse().ok());
        let media_type = answer.header(CONTENT_TYPE.as_str()).map(media_type);
        let (Some(digest), Some(size), Some(media_type)) = (digest, size, media_type) else {
            // The digest's header is no duty of a registry's, and a proxy may take the length away.
            return self.get(name, scope).await.map(|document| Some(document.descriptor));
        };
        self.check_digest(name, digest, None)?;
        Ok(Some(Descriptor::new(media_type, digest, size)))
    }

    pub(super) async fn get(
        &self,
        name: &ManifestName,
        scope: &Scope,
    ) -> Result<ManifestDocument, ManifestError> {
        let failure = self.failure("read", name);
        let call = self.call(Method::GET, name).await.map_err(&failure)?;
        let answer = self.line.exchange(&call, scope).await.map_err(&failure)?;
        if answer.status == 404 {
            return Err(ManifestError::Missing { name: self.full_name(name) });
        }
        let announced = answer.header("docker-content-digest").and_then(|digest| digest.parse().ok());
        let of_header = answer.header(CONTENT_TYPE.as_str()).map(media_type);
        let digest = Digest::of(&answer.body);
        self.check_digest(name, digest, announced)?;
        let named: Named = serde_json::from_slice(&answer.body)
            .map_err(|source| ManifestError::Malformed { name: self.full_name(name), source })?;
        let is_read = |media_type: &MediaType| media_type.is_index() || media_type.is_manifest();
        // A registry that serves plain files says `application/json`; the document knows better.
        let media_type = match (of_header, named.media_type) {
            (Some(media_type), _) if is_read(&media_type) => media_type,
            (_, Some(media_type)) => media_type,
            (Some(media_type), None) => media_type,
            (None, None) => MediaType::Other("document without a media type".to_owned()),
        };
        if !is_read(&media_type) {
            return Err(ManifestError::MediaType { name: self.full_name(name), media_type });
        }
        let descriptor = Descriptor::new(media_type, digest, answer.body.len() as u64);
        Ok(ManifestDocument { descriptor, bytes: answer.body })
    }

    pub(super) async fn put(
        &self,
        document: &ManifestDocument,
        tag: Option<&str>,
    ) -> Result<PutManifest, ManifestError> {
        let digest = document.descriptor.digest;
        let name = tag.map_or(ManifestName::Digest(digest), |tag| ManifestName::Tag(tag.to_owned()));
        let failure = self.failure("write", &name);
        let mut call = self.call(Method::PUT, &name).await.map_err(&failure)?;
        call.understood = &[];
        if let Ok(value) = HeaderValue::from_str(document.descriptor.media_type.as_str()) {
            call.headers.insert(CONTENT_TYPE, value);
        }
        call.body = Bytes::from(document.bytes.clone());
        let scope = Scope::push(self.line.repository);
        let answer = self.line.exchange(&call, &scope).await.map_err(&failure)?;
        // A registry that rewrites manifests would leave a tag that names something else.
        let kept = answer.header("docker-content-digest").and_then(|digest| digest.parse().ok());
        if let Some(found) = kept.filter(|kept| *kept != digest) {
            return Err(ManifestError::WrongDigest { name: self.full_name(&name), expected: digest, found });
        }
        let subject = answer.header("oci-subject").and_then(|subject| subject.parse().ok());
        Ok(PutManifest { subject })
    }

    async fn delete(&self, name: &ManifestName) -> Result<bool, ManifestError> {
        let failure = self.failure("delete", name);
        let call = self.call(Method::DELETE, name).await.map_err(&failure)?;
        let scope = Scope::delete(self.line.repository);
        let answer = self.line.exchange(&call, &scope).await.map_err(&failure)?;
        Ok(answer.status != 404)
    }

    fn check_digest(
        &self,
        name: &ManifestName,
        found: Digest,
        announced: Option<Digest>,
    ) -> Result<(), ManifestError> {
        let expected = match name {
            ManifestName::Digest(digest) => Some(*digest),
            ManifestName::Tag(_) => announced,
        };
        match expected {
            Some(expected) if expected != found => {
                Err(ManifestError::WrongDigest { name: self.full_name(name), expected, found })
            }
            _ => Ok(()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    #[serde(default)]
    media_type: Option<MediaType>,
}

/// A `Content-Type` without its parameters.
fn media_type(text: &str) -> MediaType {
    MediaType::from(text.split(';').next().unwrap_or_default().trim())
}
