//! Images of a few bytes, and a client for them.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use floe_destination::registry::{
    ManifestName, PushError, PushReport, PushSession, Registry, RegistryConfig, Repository, RetryPolicy,
};
use floe_destination::{ManifestDocument, Manifests, ReadDocumentsError, Selection};
use floe_image::oci::{
    Config, Descriptor, DiffId, Digest, ExecutionConfig, Index, Manifest, MediaType, Platform, Reference,
    RootFs, canonical_json,
};
use floe_image::{BlobError, BlobSource, BlobWriter};

/// Blobs in memory, and which of them were asked for.
#[derive(Debug, Default)]
pub(crate) struct Blobs {
    pub(crate) bytes: BTreeMap<Digest, Vec<u8>>,
    pub(crate) asked: Mutex<Vec<Digest>>,
}

impl Blobs {
    pub(crate) fn add(&mut self, media_type: MediaType, bytes: Vec<u8>) -> Descriptor {
        let descriptor = Descriptor::of(media_type, &bytes);
        self.bytes.insert(descriptor.digest, bytes);
        descriptor
    }

    pub(crate) fn asked(&self) -> Vec<Digest> {
        let mut asked = self.asked.lock().expect("no test panics with the lock").clone();
        asked.sort();
        asked
    }
}

impl BlobSource for Blobs {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        self.asked.lock().expect("no test panics with the lock").push(blob.digest);
        let bytes = self.bytes.get(&blob.digest).ok_or(BlobError::Missing(blob.digest))?;
        out.write_all(bytes).map_err(|source| BlobError::Io { action: "write".to_owned(), source })
    }
}

/// Bytes that no compression and no accident makes equal.
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(size)
    .collect()
}

/// An image whose layers have these bytes.
pub(crate) fn image(blobs: &mut Blobs, architecture: &str, layers: &[Vec<u8>]) -> ManifestDocument {
    let diff_ids = layers.iter().map(|layer| DiffId::new(Digest::of(layer))).collect();
    let layers = layers.iter().map(|layer| blobs.add(MediaType::LayerTar, layer.clone())).collect();
    let config = Config {
        created: None,
        author: None,
        architecture: architecture.to_owned(),
        os: "linux".to_owned(),
        variant: None,
        config: ExecutionConfig::default(),
        rootfs: RootFs::layers(diff_ids),
        history: Vec::new(),
        other: BTreeMap::new(),
    };
    let config = blobs.add(MediaType::Config, canonical_json::to_vec(&config));
    let manifest = Manifest::image(config, layers, BTreeMap::new());
    ManifestDocument::new(MediaType::Manifest, canonical_json::to_vec(&manifest))
}

/// An index of images, for these architectures.
pub(crate) fn index(children: &[(&str, &ManifestDocument)]) -> ManifestDocument {
    let entries = children.iter().map(|(architecture, child)| Descriptor {
        platform: Some(Platform::new("linux", architecture)),
        ..child.descriptor.clone()
    });
    ManifestDocument::new(MediaType::Index, canonical_json::to_vec(&Index::new(entries.collect())))
}

/// Manifests and the tags that they are pushed under.
pub(crate) struct Tagged {
    pub(crate) manifests: Manifests,
    pub(crate) tags: Vec<String>,
}

impl Tagged {
    pub(crate) fn index(children: Vec<ManifestDocument>, index: ManifestDocument, tags: &[&str]) -> Self {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        Self { manifests: Manifests::index(children, index), tags }
    }

    pub(crate) fn push(
        &self,
        session: &PushSession,
        blobs: &dyn BlobSource,
    ) -> Result<PushReport, PushError> {
        session.push(&self.manifests, &self.tags, blobs)
    }
}

pub(crate) fn tagged(document: &ManifestDocument, tag: &str) -> Tagged {
    Tagged { manifests: Manifests::image(document.clone(), None), tags: vec![tag.to_owned()] }
}

/// Reads what a tag names.
pub(crate) fn pull(
    repository: &Repository,
    tag: &str,
    selection: &Selection,
) -> Result<Manifests, ReadDocumentsError> {
    let top = repository.manifest(&ManifestName::Tag(tag.to_owned())).expect("the tag is there");
    Manifests::read(repository, &top.descriptor, selection)
}

/// A configuration that reads nothing of this machine's and does not wait long.
pub(crate) fn config() -> RegistryConfig {
    RegistryConfig {
        retry: RetryPolicy {
            attempts: 4,
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(20),
        },
        stall_timeout: Duration::from_secs(5),
        ..RegistryConfig::bare()
    }
}

pub(crate) fn client() -> Registry {
    Registry::new(config()).expect("a client")
}

pub(crate) fn reference(host: &str, rest: &str) -> Reference {
    format!("{host}/{rest}").parse().expect("a reference")
}

pub(crate) fn repository(client: &Registry, host: &str, name: &str) -> Repository {
    client.repository(&reference(host, name)).expect("a repository")
}

/// Commits a blob and waits until the registry has it.
pub(crate) fn commit(
    session: &PushSession,
    writer: Box<dyn BlobWriter + '_>,
    blob: &Descriptor,
) -> Result<(), Box<dyn std::error::Error>> {
    writer.commit(blob)?;
    Ok(session.settle()?)
}

/// An error with all its causes, as the command line shows it.
pub(crate) fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
