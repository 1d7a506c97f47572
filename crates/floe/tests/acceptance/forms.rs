//! Every form of an image is what its specification says, by the schemas and by other people's readers.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use floe_testkit::machine::peer;
use jsonschema::{Retrieve, Uri};
use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest, MediaType};
use serde_json::Value;

use crate::layout::Layout;
use crate::program::{Desk, answer, program, succeed, text};
use crate::shared_images::{NAME, shared_images};

/// Each form as a layout's directory: a layout itself, or an archive unpacked.
fn layouts(desk: &Desk) -> Vec<(&'static str, PathBuf)> {
    let images = shared_images();
    let unpacked = |name: &'static str, archive: PathBuf| {
        let directory = desk.path(name);
        fs::create_dir_all(&directory).expect("a folder");
        let words = ["--extract", "--file", text(&archive), "--directory", text(&directory)];
        succeed(&mut program("tar", &words));
        (name, directory)
    };
    vec![
        ("oci layout in zstd", images.zstd()),
        ("oci layout in gzip", images.gzip()),
        unpacked("oci-archive", images.oci_archive()),
        unpacked("docker-archive", images.docker_archive()),
        unpacked("standard output", images.standard_output()),
    ]
}

#[test]
fn documents_follow_the_schemas() {
    let Some(schemas) = Schemas::find() else { return };
    for (wrong, schema) in [
        (r#"{"schemaVersion":2,"layers":[]}"#, "image-manifest-schema.json"),
        (r#"{"schemaVersion":2,"manifests":[{"size":1}]}"#, "image-index-schema.json"),
        (r#"{"architecture":"amd64"}"#, "config-schema.json"),
        (r#"{"imageLayoutVersion":2}"#, "image-layout-schema.json"),
    ] {
        let wrong: Value = serde_json::from_str(wrong).expect("JSON");
        assert!(!schemas.complaints(schema, &wrong).is_empty(), "{schema} refuses nothing");
    }
    let desk = Desk::new();
    for (form, directory) in layouts(&desk) {
        let layout = Layout::read(&directory);
        let marker = fs::read(directory.join("oci-layout")).expect("a layout is marked as one");
        for (schema, document) in [
            ("image-layout-schema.json", &serde_json::from_slice(&marker).expect("JSON")),
            ("image-index-schema.json", &layout.index),
            ("image-manifest-schema.json", &layout.manifest),
            ("config-schema.json", &layout.config),
        ] {
            assert_eq!(schemas.complaints(schema, document), [""; 0], "{form}: {document}");
        }
    }
}

#[test]
fn oci_spec_reads_every_form() {
    let desk = Desk::new();
    let digests: Vec<String> = layouts(&desk)
        .into_iter()
        .map(|(form, directory)| {
            let layout = Layout::read(&directory);
            let index = ImageIndex::from_file(directory.join("index.json")).expect(form);
            let entry = &index.manifests()[0];
            assert_eq!(entry.media_type(), &MediaType::ImageManifest, "{form}");
            let manifest = layout.blob(&layout.index["manifests"][0]);
            assert_eq!(fs::metadata(&manifest).expect(form).len(), entry.size(), "{form}");
            let manifest = ImageManifest::from_file(manifest).expect(form);
            let config = ImageConfiguration::from_file(layout.blob(&layout.manifest["config"])).expect(form);
            assert_eq!(manifest.layers().len(), config.rootfs().diff_ids().len(), "{form}");
            assert_eq!(config.history().as_ref().map(Vec::len), Some(manifest.layers().len()), "{form}");
            for (layer, descriptor) in manifest.layers().iter().zip(layout.layers()) {
                let blob = layout.blob(descriptor);
                assert_eq!(fs::metadata(&blob).expect(form).len(), layer.size(), "{form}");
                let sum = answer(&mut program("sha256sum", &[text(&blob)]));
                assert!(sum.starts_with(layer.digest().digest()), "{form}: {sum}");
            }
            layout.digest().to_owned()
        })
        .collect();
    // All forms in gzip are one image.
    assert_eq!(digests[1..], vec![digests[1].clone(); 4]);
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn crane_validates_the_archive() {
    let crane = peer("crane").unwrap_or_else(|error| panic!("{error}"));
    for archive in [shared_images().docker_archive(), shared_images().standard_output()] {
        let said = answer(Command::new(&crane).args(["validate", "--tarball", text(&archive)]));
        assert!(said.starts_with("PASS"), "{said}");
    }
}

#[test]
fn skopeo_inspects_every_form() {
    let images = shared_images();
    for (source, path, suffix) in [
        ("oci", images.zstd(), ":1.0"),
        ("oci", images.gzip(), ":1.0"),
        ("oci-archive", images.oci_archive(), ""),
        ("oci-archive", images.docker_archive(), ""),
        ("docker-archive", images.docker_archive(), ""),
        ("docker-archive", images.standard_output(), ""),
    ] {
        let reference = format!("{source}:{}{suffix}", path.display());
        let shown = answer(&mut program("skopeo", &["inspect", &reference]));
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        let layers = Layout::read(&images.gzip()).layers().len();
        assert_eq!(shown["Layers"].as_array().map(Vec::len), Some(layers), "{reference}: {shown}");
        assert_eq!((&shown["Os"], &shown["Created"]), (&"linux".into(), &"1970-01-01T00:00:01Z".into()));
        let config = answer(&mut program("skopeo", &["inspect", "--config", &reference]));
        let config: Value = serde_json::from_str(&config).expect("JSON");
        assert_eq!(config["config"]["User"], "1000:1000", "{reference}");
        assert_eq!(config["config"]["ExposedPorts"]["3000/tcp"], serde_json::json!({}), "{reference}");
    }
}

#[test]
fn archives_carry_the_name() {
    let archive = shared_images().docker_archive();
    let words = ["--extract", "--to-stdout", "--file", text(&archive), "manifest.json"];
    let manifest: Value = serde_json::from_str(&answer(&mut program("tar", &words))).expect("JSON");
    assert_eq!(manifest[0]["RepoTags"], serde_json::json!([NAME]));
    assert_eq!(
        fs::read(archive).expect("a file"),
        fs::read(shared_images().standard_output()).expect("a file"),
        "standard output and the file are the same bytes"
    );
}

/// The schemas of the OCI image specification v1.1, which name each other by file name.
#[derive(Clone)]
struct Schemas(PathBuf);

impl Schemas {
    /// Looks below `FLOE_FIXTURES`, else beside the project.
    fn find() -> Option<Self> {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
        let directory = env::var_os("FLOE_FIXTURES").map_or_else(beside, PathBuf::from).join("schemas/oci");
        if directory.is_dir() {
            return Some(Self(directory));
        }
        let line = format!("conformance run left out: no {}", directory.display());
        writeln!(io::stderr(), "{line}").expect("standard error");
        None
    }

    fn complaints(&self, schema: &str, document: &Value) -> Vec<String> {
        let schema = fs::read(self.0.join(schema)).expect("the schema is there");
        let schema: Value = serde_json::from_slice(&schema).expect("JSON");
        let validator = jsonschema::options().with_retriever(self.clone()).build(&schema);
        let validator = validator.expect("the schemas fit together");
        validator.iter_errors(document).map(|error| error.to_string()).collect()
    }
}

impl Retrieve for Schemas {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let name = uri.path().as_str().rsplit('/').next().unwrap_or_default();
        Ok(serde_json::from_slice(&fs::read(self.0.join(name))?)?)
    }
}
