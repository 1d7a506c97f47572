//! Small images that really run: busybox in one layer, a page in another, in any compression.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use floe_destination::{DeliverError, Delivered, Destination, Documents, ImageName};
use floe_image::oci::{
    Config, Descriptor, DiffId, Digest, Empty, ExecutionConfig, Manifest, MediaType, Platform, RootFs,
    canonical_json,
};
use floe_image::{BlobError, BlobSource};
use floe_testkit::service::program;

/// How layers are compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// An image in memory, which is a source of its blobs.
pub(crate) struct Image {
    pub(crate) documents: Documents,
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
}

impl Image {
    /// An image of busybox whose second layer holds `page` in `/www/index.html`.
    pub(crate) fn busybox(compression: Compression, page: &str) -> Self {
        let busybox = program::find("busybox").unwrap_or_else(|error| panic!("{error}"));
        let busybox = fs::read(busybox).expect("busybox is readable");
        let base = tar_of(&[("bin/busybox", 0o755, &busybox), ("etc/", 0o755, b""), ("proc/", 0o755, b"")]);
        let page = tar_of(&[("www/index.html", 0o644, page.as_bytes())]);
        Self::of(compression, vec![base, page])
    }

    /// The same image for another processor, whose config alone differs; a container of it would not start.
    pub(crate) fn on(&self, architecture: &str) -> Self {
        let mut config = self.documents.config.clone();
        architecture.clone_into(&mut config.architecture);
        let config_bytes = canonical_json::to_vec(&config);
        let mut manifest = self.documents.manifest.clone();
        let mut blobs = self.blobs.clone();
        blobs.remove(&manifest.config.digest);
        manifest.config = Descriptor::of(MediaType::Config, &config_bytes);
        blobs.insert(manifest.config.digest, config_bytes.clone());
        Self { documents: Documents::new(manifest, config_bytes), blobs }
    }

    /// An image of one layer with some bytes, which does not run.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self::of(Compression::None, vec![tar_of(&[("bytes", 0o644, bytes)])])
    }

    fn of(compression: Compression, layers: Vec<Vec<u8>>) -> Self {
        let diff_ids = layers.iter().map(|layer| DiffId::new(Digest::of(layer))).collect();
        let mut blobs = BTreeMap::new();
        let descriptors = layers
            .iter()
            .map(|layer| {
                let (media_type, bytes) = compress(compression, layer);
                let descriptor = Descriptor::of(media_type, &bytes);
                blobs.insert(descriptor.digest, bytes);
                descriptor
            })
            .collect();
        let config = config(diff_ids);
        let config_bytes = canonical_json::to_vec(&config);
        blobs.insert(Digest::of(&config_bytes), config_bytes.clone());
        let manifest = Manifest::image(
            Descriptor::of(MediaType::Config, &config_bytes),
            descriptors,
            BTreeMap::from([("org.opencontainers.image.title".to_owned(), "a page".to_owned())]),
        );
        Self { documents: Documents::new(manifest, config_bytes), blobs }
    }

    /// Packs the layers and the config into a destination's sink, as a first build does, and finishes.
    pub(crate) fn deliver_cold(
        &self,
        destination: Box<dyn Destination>,
        name: Option<&str>,
    ) -> Result<Delivered, DeliverError> {
        let manifest = &self.documents.manifest;
        for layer in manifest.layers.iter().chain([&manifest.config]) {
            let fail = |source| DeliverError::Blob { digest: layer.digest, source };
            let mut writer = destination.sink().begin(None).map_err(fail)?;
            writer
                .write_all(&self.blobs[&layer.digest])
                .map_err(|source| DeliverError::Io { action: "pack".to_owned(), source })?;
            writer.commit(layer).map_err(fail)?;
        }
        destination.finish(&self.documents.manifests(), name_of(name).as_ref(), &Nothing)
    }

    /// Finishes with all digests known and nothing packed, as a repeated build does.
    pub(crate) fn deliver_warm(
        &self,
        destination: Box<dyn Destination>,
        name: Option<&str>,
    ) -> Result<Delivered, DeliverError> {
        destination.finish(&self.documents.manifests(), name_of(name).as_ref(), self)
    }
}

impl BlobSource for Image {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let bytes = self.blobs.get(&blob.digest).ok_or(BlobError::Missing(blob.digest))?;
        out.write_all(bytes).map_err(|source| BlobError::Io { action: "copy".to_owned(), source })
    }
}

/// A source that holds nothing.
pub(crate) struct Nothing;

impl BlobSource for Nothing {
    fn copy_to(&self, blob: &Descriptor, _out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        Err(BlobError::Missing(blob.digest))
    }
}

fn name_of(name: Option<&str>) -> Option<ImageName> {
    name.map(|name| name.parse().expect("an image name"))
}

fn config(diff_ids: Vec<DiffId>) -> Config {
    let platform = Platform::from_system("x86_64-linux").expect("a known system");
    Config {
        created: Some("2024-01-01T00:00:00Z".to_owned()),
        author: None,
        architecture: platform.architecture,
        os: platform.os,
        variant: None,
        config: ExecutionConfig {
            user: Some("1000:1000".to_owned()),
            env: vec!["PATH=/bin".to_owned()],
            entrypoint: Some(vec!["/bin/busybox".to_owned()]),
            cmd: Some(vec!["cat".to_owned(), "/www/index.html".to_owned()]),
            exposed_ports: BTreeMap::from([("8080/tcp".to_owned(), Empty {})]),
            working_dir: Some("/".to_owned()),
            ..ExecutionConfig::default()
        },
        rootfs: RootFs::layers(diff_ids),
        history: Vec::new(),
        other: BTreeMap::new(),
    }
}

fn compress(compression: Compression, bytes: &[u8]) -> (MediaType, Vec<u8>) {
    match compression {
        Compression::None => (MediaType::LayerTar, bytes.to_vec()),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).expect("memory");
            (MediaType::LayerGzip, encoder.finish().expect("memory"))
        }
        Compression::Zstd => (MediaType::LayerZstd, zstd::encode_all(bytes, 1).expect("memory")),
    }
}

/// A tar of files, and of directories where the name ends with a slash.
fn tar_of(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, mode, content) in entries {
        let mut header = tar::Header::new_ustar();
        let is_directory = name.ends_with('/');
        header.set_entry_type(if is_directory { tar::EntryType::Directory } else { tar::EntryType::Regular });
        header.set_mode(*mode);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, *content).expect("memory");
    }
    builder.into_inner().expect("memory")
}
