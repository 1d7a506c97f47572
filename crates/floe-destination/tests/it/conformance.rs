//! Every document is checked against the OCI image specification's own schemas, where those are on the machine.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use jsonschema::{Retrieve, Uri};
use serde_json::Value;

/// Checks a document; `schema` is the schema's file name.
pub(crate) fn check(schema: &str, document: &[u8]) {
    let complaints = complaints(schema, document).unwrap_or_default();
    assert!(complaints.is_empty(), "{schema}: {complaints:?} in {}", String::from_utf8_lossy(document));
}

/// What the schema finds wrong with a document; `None` when the schemas are not on the machine.
fn complaints(schema: &str, document: &[u8]) -> Option<Vec<String>> {
    let directory = schemas()?;
    let schema = fs::read(directory.join(schema)).expect("the schema is there");
    let schema: Value = serde_json::from_slice(&schema).expect("JSON");
    let validator = jsonschema::options()
        .with_retriever(Schemas(directory))
        .build(&schema)
        .expect("the schemas fit together");
    let document: Value = serde_json::from_slice(document).expect("JSON");
    Some(validator.iter_errors(&document).map(|error| error.to_string()).collect())
}

#[test]
fn the_schemas_refuse_wrong_documents() {
    let manifest =
        r#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"no digest","size":-1},"layers":[]}"#;
    for (schema, document) in [
        ("image-manifest-schema.json", manifest),
        ("image-index-schema.json", r#"{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":1}]}"#),
        ("config-schema.json", r#"{"architecture":"amd64"}"#),
        ("image-layout-schema.json", r#"{"imageLayoutVersion":"2"}"#),
    ] {
        let complaints = complaints(schema, document.as_bytes());
        assert!(complaints.is_none_or(|complaints| !complaints.is_empty()), "{schema}");
    }
}

/// Checks the documents of a layout's directory.
pub(crate) fn check_layout(directory: &Path) {
    let read = |path: PathBuf| fs::read(path).expect("the document is there");
    check("image-layout-schema.json", &read(directory.join("oci-layout")));
    check_index(directory, &read(directory.join("index.json")));
}

/// Checks an index of a layout, and all below it but what is not for any platform: attestations have no image's config.
fn check_index(directory: &Path, index: &[u8]) {
    check("image-index-schema.json", index);
    let index: Value = serde_json::from_slice(index).expect("JSON");
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a digest");
        fs::read(directory.join("blobs").join(digest.replace(':', "/"))).expect("the document is there")
    };
    for entry in index["manifests"].as_array().expect("a list") {
        if entry["mediaType"] == "application/vnd.oci.image.index.v1+json" {
            check_index(directory, &blob(entry));
        } else if entry["platform"]["os"] != "unknown" {
            let manifest = blob(entry);
            check("image-manifest-schema.json", &manifest);
            let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
            check("config-schema.json", &blob(&manifest["config"]));
        }
    }
}

/// The schemas' directory: below `FLOE_FIXTURES`, or beside the project.
fn schemas() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let fixtures = env::var_os("FLOE_FIXTURES").map_or_else(beside, PathBuf::from);
    let directory = fixtures.join("schemas/oci");
    if directory.is_dir() {
        return Some(directory);
    }
    writeln!(io::stderr(), "conformance run left out: no {}", directory.display()).expect("standard error");
    None
}

/// Schemas name each other by file name.
struct Schemas(PathBuf);

impl Retrieve for Schemas {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let name = uri.path().as_str().rsplit('/').next().unwrap_or_default();
        Ok(serde_json::from_slice(&fs::read(self.0.join(name))?)?)
    }
}
