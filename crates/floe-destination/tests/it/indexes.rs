//! Whole indexes: delivered byte for byte where a place takes them, refused with the platforms where it does not.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use floe_destination::registry::{PushConfig, Registry, RegistryConfig, RegistryDestination, RegistrySource};
use floe_destination::{
    Archive, DeliverError, Delivered, Destination, DestinationName, Documents, EngineKind, ImageSource as _,
    ManifestDocument, Manifests, OciLayout, Selection,
};
use floe_image::oci::{Descriptor, Digest, Index, Manifest, MediaType, Platform, canonical_json};
use floe_image::{BlobError, BlobSource};
use floe_testkit::engine::Engine;
use floe_testkit::engine::containerd::Containerd;
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};

use crate::conformance::check_layout;
use crate::image::{Compression, Image};
use crate::layouts::{files, skopeo};

/// An index of two images, an attestation and something that only its maker knows.
struct Foreign {
    manifests: Manifests,
    blobs: BTreeMap<Digest, Vec<u8>>,
    images: [Image; 2],
}

impl BlobSource for Foreign {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let bytes = self.blobs.get(&blob.digest).ok_or(BlobError::Missing(blob.digest))?;
        out.write_all(bytes).map_err(|source| BlobError::Io { action: "copy".to_owned(), source })
    }
}

impl Foreign {
    fn new() -> Self {
        let amd64 = Image::busybox(Compression::Gzip, "a page\n");
        let images = [amd64.on("arm64"), amd64];
        let mut blobs = BTreeMap::new();
        let mut children = Vec::new();
        let mut entries = Vec::new();
        for image in &images {
            blobs.extend(image.blobs.clone());
            entries.push(Descriptor {
                platform: Some(image.documents.config.platform()),
                ..image.documents.document.descriptor.clone()
            });
            children.push(image.documents.document.clone());
        }

        // As docker buildx writes it: a manifest whose config is no image config, in Docker's media type, with fields and
        // spaces that floe would not write.
        let statement = Descriptor::of("application/vnd.in-toto+json".into(), b"{ }");
        let config = Descriptor::of("application/vnd.example.config".into(), b"no config");
        blobs.insert(statement.digest, b"{ }".to_vec());
        blobs.insert(config.digest, b"no config".to_vec());
        let manifest = Manifest {
            media_type: Some(MediaType::DockerManifest),
            ..Manifest::image(config, vec![statement], BTreeMap::new())
        };
        let mut bytes = serde_json::to_vec_pretty(&manifest).expect("a manifest");
        bytes.push(b'\n');
        let attestation = ManifestDocument::new(MediaType::DockerManifest, bytes);
        entries.push(Descriptor {
            platform: Some(Platform::new("unknown", "unknown")),
            annotations: BTreeMap::from([("vnd.docker.reference.type".to_owned(), "attestation".to_owned())]),
            ..attestation.descriptor.clone()
        });
        children.push(attestation);

        let bytes = canonical_json::to_vec(&Index::new(entries));
        let index = ManifestDocument::new(MediaType::Index, bytes);
        Self { manifests: Manifests::index(children, index), blobs, images }
    }

    /// Checks that a place holds every byte, and gives each platform its image.
    fn check(&self, place: &dyn BlobSource, root: &Descriptor) {
        let read = Manifests::read(place, root, &Selection::All).expect("a whole index");
        assert_eq!(read, self.manifests);
        let named = read.blobs().expect("they are well-formed");
        assert_eq!(named.len(), self.blobs.len(), "shared layers are named once");
        for blob in named {
            let mut bytes = Vec::new();
            place.copy_to(&blob, &mut bytes).expect("it is there");
            assert_eq!(bytes, self.blobs[&blob.digest]);
        }
        for image in &self.images {
            let platform = image.documents.config.platform();
            assert_eq!(Documents::read(place, root, &platform).expect("its image"), image.documents);
        }
        let error =
            Documents::read(place, root, &Platform::new("linux", "s390x")).expect_err("there is none");
        let expected = "has no image for linux/s390x; it has linux/arm64, linux/amd64";
        assert!(error.to_string().ends_with(expected), "{error}");
    }

    fn deliver(&self, destination: Box<dyn Destination>) -> Result<Delivered, DeliverError> {
        let name = "app:1.0".parse().expect("an image name");
        let delivered = destination.finish(&self.manifests, Some(&name), self)?;
        assert_eq!(delivered.manifest, self.manifests.top().descriptor);
        Ok(delivered)
    }
}

fn open(name: &str, spool: &Path) -> Box<dyn Destination> {
    let name: DestinationName = name.parse().expect("a destination");
    name.open(spool).expect("it opens").expect("it is no registry")
}

#[test]
fn a_layout_and_an_archive_hold_a_whole_index() {
    let index = Foreign::new();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (layout, archive) = (folder.path().join("layout"), folder.path().join("image.tar"));
    let names = [format!("oci:{}", layout.display()), format!("oci-archive:{}", archive.display())];
    for name in &names {
        index.deliver(open(name, folder.path())).expect("it is delivered");
    }
    check_layout(&layout);
    let read = OciLayout::open(&layout).expect("a layout");
    index.check(&read, &read.resolve(Some("1.0")).expect("the tag"));
    let read = Archive::open(&archive, folder.path()).expect("an archive");
    index.check(&read, &read.resolve(None).expect("the only one"));
    let before = files(folder.path());

    for (name, image) in names.iter().zip(&index.images) {
        let architecture = &image.documents.config.architecture;
        let raw = skopeo(&["inspect", "--raw", name]);
        assert_eq!(raw.as_bytes(), index.manifests.top().bytes);
        let config = skopeo(&["--override-arch", architecture, "inspect", "--config", "--raw", name]);
        assert_eq!(config.as_bytes(), image.documents.config_bytes);
    }
    // Again: nothing is fetched and nothing grows.
    let again = open(&names[0], folder.path());
    again
        .finish(&index.manifests, Some(&"app:1.0".parse().expect("a name")), &crate::image::Nothing)
        .expect("all is there");
    assert_eq!(files(folder.path()), before);
}

#[test]
fn containerd_holds_a_whole_index() {
    let index = Foreign::new();
    let containerd = Containerd::start().unwrap_or_else(|error| panic!("{error}"));
    let mut command =
        crate::roles::command(crate::roles::Role::DeliverIndex, "containerd:", None, Compression::Gzip);
    let output = command.envs(containerd.environment()).output().expect("the test binary starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\ndelivered docker.io/library/app:1.0\n"), "{text}");
    let listing = containerd.command().args(["images", "list"]).output().expect("ctr");
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    let expected = index.manifests.top().descriptor.digest.to_string();
    assert!(listing.contains(&expected) && listing.contains("linux/amd64,linux/arm64"), "{listing}");
}

#[test]
fn what_takes_one_image_refuses_an_index_and_says_which_there_are() {
    let index = Foreign::new();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let archive = folder.path().join("image.tar");
    for (name, expected) in [
        (format!("docker-archive:{}", archive.display()), "a docker-archive takes one image"),
        (format!("{}:", EngineKind::Podman), "podman takes one image"),
        (format!("{}:", EngineKind::Docker), "docker takes one image"),
    ] {
        let error = index.deliver(open(&name, folder.path())).expect_err("it is an index").to_string();
        let expected = format!("{expected}: expected a manifest, not an index of linux/arm64, linux/amd64");
        assert_eq!(error, expected);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a directory").count(), 0);
}

/// Delivers the index as a child process does, in an engine's environment.
pub(crate) fn deliver(destination: Box<dyn Destination>) -> Result<Delivered, DeliverError> {
    Foreign::new().deliver(destination)
}

#[test]
fn a_registry_holds_a_whole_index() {
    let index = Foreign::new();
    let configuration =
        Configuration { authentication: Authentication::Open, tls: false, client_certificates: false };
    let registry = Distribution::start(configuration).unwrap_or_else(|error| panic!("{error}"));
    let client = Registry::new(RegistryConfig::bare()).expect("a client");
    let reference = format!("{}/app:1.0", registry.host()).parse().expect("a reference");
    let open = || RegistryDestination::open(&client, &reference, Vec::new(), PushConfig::default());
    index.deliver(Box::new(open().expect("a repository"))).expect("it is delivered");
    let source = RegistrySource::open(&client, &reference).expect("it is there");
    assert_eq!(source.name().map(ToString::to_string), Some(reference.to_string()));
    index.check(&source, source.root());

    let name = format!("docker://{reference}");
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &name]);
    assert_eq!(raw.as_bytes(), index.manifests.top().bytes);
}
