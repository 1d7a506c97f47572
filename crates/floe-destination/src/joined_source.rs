//! Images from several sources as one: the index that joins them, and each blob from where it is.

use std::collections::BTreeMap;
use std::io::Write;

use floe_image::oci::{Descriptor, Digest, Platform};
use floe_image::{BlobError, BlobSource};

use crate::{
    Documents, ImageName, ImageSource, ManifestDocument, Manifests, ParsedManifest, ReadDocumentsError,
    SamePlatformError, Selection,
};

/// Several images that an index joins.
pub struct JoinedSource {
    sources: Vec<Box<dyn ImageSource>>,
    /// The place in `sources` of each blob; one that several hold is in the first.
    holders: BTreeMap<Digest, usize>,
    manifests: Manifests,
    root: Descriptor,
}

/// Why images could not be joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// An image could not be read.
    #[error(transparent)]
    Documents(#[from] ReadDocumentsError),
    /// Two images are for the same platform.
    #[error(transparent)]
    SamePlatform(#[from] SamePlatformError),
}

impl JoinedSource {
    /// Reads what each source names, and joins it in this order. An image's platform is what its config says; of an
    /// index all images are taken, and what stands beside them is left out.
    ///
    /// # Errors
    ///
    /// When an image cannot be read, or two are for the same platform.
    pub fn new(sources: Vec<Box<dyn ImageSource>>) -> Result<Self, JoinError> {
        let mut images = Vec::new();
        let mut holders = BTreeMap::new();
        for (number, source) in sources.iter().enumerate() {
            for (document, platform) in images_of(source.as_ref())? {
                let manifests = Manifests::image(document, None);
                for blob in manifests.blobs()? {
                    holders.entry(blob.digest).or_insert(number);
                }
                images.push((manifests.top().clone(), platform));
            }
        }
        let manifests = Manifests::joined(images)?;
        let root = manifests.top().descriptor.clone();
        Ok(Self { sources, holders, manifests, root })
    }

    /// The index and its children.
    #[must_use]
    pub fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// The place of the source that a blob comes from, in the order in which they were given.
    #[must_use]
    pub fn holder(&self, blob: &Digest) -> Option<usize> {
        self.holders.get(blob).copied()
    }
}

/// The images that a source names, each with its platform.
fn images_of(source: &dyn ImageSource) -> Result<Vec<(ManifestDocument, Platform)>, ReadDocumentsError> {
    let read = Manifests::read(source, source.root(), &Selection::All)?;
    let find = |digest| read.documents().iter().find(|document| document.descriptor.digest == digest);
    let mut images = Vec::new();
    for document in read.documents() {
        if let ParsedManifest::Index(index) = document.parse()? {
            let named = index.manifests.into_iter().filter(|entry| entry.media_type.is_manifest());
            images.extend(named.filter_map(|entry| {
                let platform = entry.platform.filter(|platform| platform.os != "unknown")?;
                Some((find(entry.digest)?.clone(), platform))
            }));
        }
    }
    if images.is_empty() && !source.root().media_type.is_index() {
        // The only manifest, so its config tells whatever platform is asked for.
        let image = Documents::read(source, source.root(), &Platform::new("linux", "amd64"))?;
        images.push((image.document, image.config.platform()));
    }
    Ok(images)
}

impl BlobSource for JoinedSource {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let mut documents = self.manifests.documents().iter();
        if let Some(document) = documents.find(|document| document.descriptor.digest == blob.digest) {
            return out
                .write_all(&document.bytes)
                .map_err(|source| BlobError::Io { action: format!("write {}", blob.digest), source });
        }
        let holder = self.holder(&blob.digest).ok_or(BlobError::Missing(blob.digest))?;
        self.sources[holder].copy_to(blob, out)
    }
}

impl ImageSource for JoinedSource {
    fn root(&self) -> &Descriptor {
        &self.root
    }

    fn name(&self) -> Option<&ImageName> {
        None
    }

    fn is_remote(&self) -> bool {
        self.sources.iter().any(|source| source.is_remote())
    }
}
