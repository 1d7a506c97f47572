//! An image in a registry as a source: what its name stands for is read once, by one request.

use std::io::Write;

use floe_image::oci::{Descriptor, Reference};
use floe_image::{BlobError, BlobSource};

use super::client::{Registry, Repository};
use super::manifest::ManifestName;
use crate::{ImageName, ImageSource, ManifestDocument, OpenSourceError};

/// An image or index in a repository.
#[derive(Debug)]
pub struct RegistrySource {
    repository: Repository,
    /// What the name stood for when it was opened; a tag may name something else a moment later.
    top: ManifestDocument,
    name: Option<ImageName>,
}

impl RegistrySource {
    /// Reads what a reference names, from a mirror where one has it.
    ///
    /// # Errors
    /// When the repository cannot be opened, or does not give the manifest.
    pub fn open(registry: &Registry, reference: &Reference) -> Result<Self, OpenSourceError> {
        let repository = registry.repository(reference)?;
        let top = repository.manifest(&ManifestName::of(reference))?;
        let tagged = reference.tag().and_then(|tag| reference.with_tag(tag).ok());
        let name = tagged.and_then(|reference| reference.to_string().parse().ok());
        Ok(Self { repository, top, name })
    }

    /// The repository, with its tags and referrers.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// What the name stands for, as stored.
    #[must_use]
    pub fn top(&self) -> &ManifestDocument {
        &self.top
    }
}

impl BlobSource for RegistrySource {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        if blob.digest != self.top.descriptor.digest {
            return self.repository.copy_to(blob, out);
        }
        out.write_all(&self.top.bytes)
            .map_err(|source| BlobError::Io { action: format!("write {}", blob.digest), source })
    }
}

impl ImageSource for RegistrySource {
    fn root(&self) -> &Descriptor {
        &self.top.descriptor
    }

    fn name(&self) -> Option<&ImageName> {
        self.name.as_ref()
    }

    fn is_remote(&self) -> bool {
        true
    }
}
