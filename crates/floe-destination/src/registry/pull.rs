//! Pulling: manifests by platform, blobs as a stream that is verified while it passes.
//!
//! OCI distribution-spec v1.1, "Pull". A [`Repository`] is a [`BlobSource`]: manifests and indexes are read as
//! manifests, everything else as blobs. A broken download goes on with a `Range` where it stopped.

use std::collections::BTreeSet;
use std::io::{self, Write};

use floe_image::oci::{Descriptor, Digest, DigestHasher, MediaType, Platform};
use floe_image::{BlobError, BlobSource};
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};

use super::auth::Scope;
use super::client::{Place, Repository};
use super::config::RegistryEvent;
use super::exchange::Call;
use super::manifest::{ManifestDocument, ManifestError, ManifestName, ParsedManifest};
use super::response::{ExchangeError, next_chunk};

/// Progress that makes up for the failures before it: a long download may break more often than a short one.
const FORGIVING_PROGRESS: u64 = 1 << 20;

/// How deep an index may lie in an index; real images have one level.
const MAX_DEPTH: usize = 4;

/// More manifests than any image has.
const MOST_MANIFESTS: usize = 1_000;

/// Which images of an index are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All, with the index itself.
    All,
    /// The one for this platform, without the index.
    Platform(Platform),
}

/// The manifests of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledManifests {
    /// Children before the index that names them; the last one is what the name stands for, or the platform's image.
    pub documents: Vec<ManifestDocument>,
}

/// An image's manifests could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// A manifest could not be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A manifest's bytes do not follow their specification.
    #[error("'{name}' is malformed")]
    Malformed {
        /// The repository with the digest.
        name: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The index has no image for the platform.
    #[error("'{name}' has no image for {platform}; it has {}", available.join(", "))]
    NoPlatform {
        /// The repository with the tag or digest.
        name: String,
        /// The platform that was asked for.
        platform: Box<Platform>,
        /// The platforms that the index has.
        available: Vec<String>,
    },
    /// Indexes within indexes, or more manifests than any image has.
    #[error("'{0}' names more manifests than any image has")]
    TooMany(String),
}

impl Repository {
    /// Reads the manifests that a name stands for: one image's, or a whole index with its children.
    ///
    /// An image that is no index is taken for any platform.
    ///
    /// # Errors
    /// [`PullError`].
    pub fn pull_manifests(
        &self,
        name: &ManifestName,
        selection: &Selection,
    ) -> Result<PulledManifests, PullError> {
        let mut documents = Vec::new();
        let mut seen = BTreeSet::new();
        self.collect(name, selection, 0, &mut seen, &mut documents)?;
        Ok(PulledManifests { documents })
    }

    fn collect(
        &self,
        name: &ManifestName,
        selection: &Selection,
        depth: usize,
        seen: &mut BTreeSet<Digest>,
        documents: &mut Vec<ManifestDocument>,
    ) -> Result<(), PullError> {
        if depth > MAX_DEPTH || seen.len() > MOST_MANIFESTS {
            return Err(PullError::TooMany(self.full_name(name)));
        }
        let document = self.manifest(name)?;
        if !seen.insert(document.descriptor.digest) {
            return Ok(());
        }
        let parsed =
            document.parse().map_err(|source| PullError::Malformed { name: self.full_name(name), source })?;
        let ParsedManifest::Index(index) = parsed else {
            documents.push(document);
            return Ok(());
        };
        match selection {
            Selection::All => {
                for child in &index.manifests {
                    let is_read = child.media_type.is_manifest() || child.media_type.is_index();
                    if is_read && !seen.contains(&child.digest) {
                        let name = ManifestName::Digest(child.digest);
                        self.collect(&name, selection, depth + 1, seen, documents)?;
                    }
                }
                documents.push(document);
                Ok(())
            }
            Selection::Platform(platform) => {
                let chosen = choose(&index.manifests, platform).ok_or_else(|| PullError::NoPlatform {
                    name: self.full_name(name),
                    platform: Box::new(platform.clone()),
                    available: index
                        .manifests
                        .iter()
                        .filter_map(|entry| entry.platform.as_ref().map(ToString::to_string))
                        .collect(),
                })?;
                self.collect(&ManifestName::Digest(chosen.digest), selection, depth + 1, seen, documents)
            }
        }
    }

    /// Reads a manifest as a blob, as layouts keep them.
    fn copy_manifest(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let name = ManifestName::Digest(blob.digest);
        let document = self.manifest(&name).map_err(|error| match error {
            ManifestError::Missing { .. } => BlobError::Missing(blob.digest),
            ManifestError::WrongDigest { expected, found, .. } => {
                BlobError::WrongBytes { expected, found, size: blob.size }
            }
            error => other(blob, error),
        })?;
        if document.descriptor.size != blob.size {
            let (expected, size) = (blob.digest, document.descriptor.size);
            return Err(BlobError::WrongBytes { expected, found: document.descriptor.digest, size });
        }
        out.write_all(&document.bytes).map_err(|source| write_failure(blob, source))
    }
}

/// The first entry that runs on the platform; one with the same variant before one without.
fn choose<'a>(entries: &'a [Descriptor], platform: &Platform) -> Option<&'a Descriptor> {
    let runs = |entry: &&Descriptor| match &entry.platform {
        None => entries.len() == 1,
        Some(offered) => {
            offered.os == platform.os
                && offered.architecture == platform.architecture
                && (offered.variant == platform.variant
                    || offered.variant.is_none()
                    || platform.variant.is_none())
        }
    };
    let same_variant = |entry: &&Descriptor| {
        entry.platform.as_ref().is_some_and(|offered| offered.variant == platform.variant)
    };
    let exact = entries.iter().find(|entry| runs(entry) && same_variant(entry));
    exact.or_else(|| entries.iter().find(runs))
}

impl BlobSource for Repository {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        if is_document(&blob.media_type) {
            return self.copy_manifest(blob, out);
        }
        let name = ManifestName::Digest(blob.digest);
        let mut download = Download { repository: self, blob, out, hasher: DigestHasher::default(), size: 0 };
        let mut result = Err(BlobError::Missing(blob.digest));
        for place in self.pull_places(&name) {
            result = download.run(place);
            // Bytes that are wrong, or that cannot be written, stay so elsewhere.
            if matches!(result, Ok(()) | Err(BlobError::WrongBytes { .. } | BlobError::Io { .. })) {
                break;
            }
        }
        result
    }
}

fn is_document(media_type: &MediaType) -> bool {
    media_type.is_manifest() || media_type.is_index()
}

fn other(blob: &Descriptor, error: impl std::error::Error + Send + Sync + 'static) -> BlobError {
    BlobError::Other { action: format!("read blob {}", blob.digest), source: Box::new(error) }
}

fn write_failure(blob: &Descriptor, source: io::Error) -> BlobError {
    BlobError::Io { action: format!("write blob {}", blob.digest), source }
}

/// A blob on its way out.
struct Download<'a> {
    repository: &'a Repository,
    blob: &'a Descriptor,
    out: &'a mut (dyn Write + Send),
    hasher: DigestHasher,
    size: u64,
}

impl Download<'_> {
    fn run(&mut self, place: &Place) -> Result<(), BlobError> {
        let mut failures = 0;
        loop {
            let before = self.size;
            let error = match self.attempt(place) {
                Ok(()) => return self.verify(),
                Err(Attempt::Over(error)) => return Err(error),
                Err(Attempt::Broken(error)) => error,
            };
            if self.size - before >= FORGIVING_PROGRESS {
                failures = 0;
            }
            failures += 1;
            let shared = &self.repository.shared;
            let line = place.line(shared);
            if !error.is_passing() || !shared.block_on(line.wait(&error, failures)) {
                return Err(other(self.blob, error));
            }
        }
    }

    /// Reads on from where the last attempt stopped.
    fn attempt(&mut self, place: &Place) -> Result<(), Attempt> {
        let shared = &self.repository.shared;
        let line = place.line(shared);
        let (mut response, request) = shared.block_on(async {
            let url = line.repository_url(&format!("blobs/{}", self.blob.digest)).await?;
            let mut call = Call::new(Method::GET, url);
            call.understood = &[404];
            if self.size > 0
                && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.size))
            {
                call.headers.insert(RANGE, range);
            }
            let request = call.line();
            // Retries are counted here, together with those of broken bodies.
            Ok::<_, ExchangeError>((line.open_once(&call, &Scope::pull(line.repository)).await?, request))
        })?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(Attempt::Over(BlobError::Missing(self.blob.digest)));
        }
        let mut skip = self.skipped(&response).ok_or_else(|| {
            Attempt::Broken(line.unexpected(&request, "the range of the blob that was asked for"))
        })?;
        let patience = shared.config.stall_timeout;
        let host = line.host.name();
        while let Some(chunk) = shared.block_on(next_chunk(&mut response, host, &request, patience))? {
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            skip -= skipped as u64;
            self.take(&chunk[skipped..]).map_err(Attempt::Over)?;
        }
        Ok(())
    }

    /// How many bytes of an answer are known already.
    fn skipped(&self, response: &Response) -> Option<u64> {
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Some(self.size);
        }
        let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
        let first: u64 = range.trim_start_matches("bytes").trim_start().split('-').next()?.parse().ok()?;
        self.size.checked_sub(first)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        if self.size > self.blob.size {
            return self.verify();
        }
        self.out.write_all(bytes).map_err(|source| write_failure(self.blob, source))?;
        let (digest, bytes) = (self.blob.digest, bytes.len() as u64);
        self.repository.shared.tell(&RegistryEvent::Received { digest, bytes });
        Ok(())
    }

    fn verify(&self) -> Result<(), BlobError> {
        let (expected, found) = (self.blob.digest, self.hasher.clone().finish());
        if self.size == self.blob.size && found == expected {
            Ok(())
        } else {
            Err(BlobError::WrongBytes { expected, found, size: self.size })
        }
    }
}

/// Why an attempt ended.
enum Attempt {
    /// The network failed: there may be another attempt.
    Broken(ExchangeError),
    /// There is no use in another one.
    Over(BlobError),
}

impl From<ExchangeError> for Attempt {
    fn from(error: ExchangeError) -> Self {
        Self::Broken(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(offered: &[&str], wanted: &str, expected: Option<usize>) {
        let entries: Vec<Descriptor> = offered
            .iter()
            .enumerate()
            .map(|(number, platform)| Descriptor {
                platform: platform.parse().ok(),
                ..Descriptor::new(MediaType::Manifest, Digest::of(b""), number as u64)
            })
            .collect();
        let wanted = wanted.parse().expect("a platform");
        let found = choose(&entries, &wanted).map(|entry| entry.size);
        assert_eq!(found, expected.map(|number| number as u64), "{offered:?} {wanted}");
    }

    #[test]
    fn chooses_by_platform() {
        check(&["linux/amd64", "linux/arm64"], "linux/arm64", Some(1));
        check(&["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7", Some(1));
        check(&["linux/arm64/v8"], "linux/arm64", Some(0));
        check(&["linux/arm64"], "linux/arm64/v8", Some(0));
        check(&["linux/amd64"], "linux/arm64", None);
        check(&["unknown"], "linux/arm64", Some(0));
        check(&["unknown", "unknown"], "linux/arm64", None);
    }
}
