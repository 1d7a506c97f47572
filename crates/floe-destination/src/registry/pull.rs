//! Pulling: a repository is a source of blobs, which are verified while they pass.
//!
//! OCI distribution-spec v1.1, "Pull". Of a [`Repository`] as a [`BlobSource`] manifests and indexes are read as
//! manifests, everything else as blobs. A broken download goes on with a `Range` where it stopped.

use std::io::{self, Write};

use floe_image::oci::{Descriptor, DigestHasher};
use floe_image::{BlobError, BlobSource};
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};

use super::auth::Scope;
use super::client::{Place, Repository};
use super::config::RegistryEvent;
use super::exchange::Call;
use super::manifest::{ManifestError, ManifestName};
use super::response::{ExchangeError, next_chunk};

/// Progress that makes up for the failures before it: a long download may break more often than a short one.
const FORGIVING_PROGRESS: u64 = 1 << 20;

impl Repository {
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

impl BlobSource for Repository {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        if blob.media_type.is_manifest() || blob.media_type.is_index() {
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
