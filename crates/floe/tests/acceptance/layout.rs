//! An OCI layout's directory, read without any of floe's own code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{program, succeed, text};

/// The documents of a layout that holds one image.
pub(crate) struct Layout {
    pub(crate) directory: PathBuf,
    pub(crate) index: Value,
    pub(crate) manifest: Value,
    pub(crate) config: Value,
}

impl Layout {
    pub(crate) fn read(directory: &Path) -> Self {
        let index = document(&directory.join("index.json"));
        assert_eq!(index["manifests"].as_array().map(Vec::len), Some(1), "one image: {index}");
        let manifest = document(&blob(directory, &index["manifests"][0]));
        let config = document(&blob(directory, &manifest["config"]));
        Self { directory: directory.to_owned(), index, manifest, config }
    }

    /// The manifest's digest.
    pub(crate) fn digest(&self) -> &str {
        self.index["manifests"][0]["digest"].as_str().expect("a digest")
    }

    /// The file of a blob that a descriptor names.
    pub(crate) fn blob(&self, descriptor: &Value) -> PathBuf {
        blob(&self.directory, descriptor)
    }

    /// The layers' descriptors, bottom first.
    pub(crate) fn layers(&self) -> &[Value] {
        self.manifest["layers"].as_array().expect("a list of layers")
    }

    /// Unpacks every layer, bottom first, with GNU tar, which finds the compression by itself.
    pub(crate) fn unpack(&self, into: &Path) {
        std::fs::create_dir_all(into).expect("a folder");
        for layer in self.layers() {
            unpack_layer(&self.blob(layer), into);
        }
    }

    /// Unpacks the topmost layer, which is the root's.
    pub(crate) fn unpack_root(&self, into: &Path) {
        std::fs::create_dir_all(into).expect("a folder");
        unpack_layer(&self.blob(self.layers().last().expect("there are layers")), into);
    }

    /// The config's environment.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let pairs = self.config["config"]["Env"].as_array().expect("a list of variables").iter();
        let pair = |variable: &Value| {
            let (name, value) = variable.as_str()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        pairs.map(|variable| pair(variable).expect("NAME=VALUE")).collect()
    }
}

fn unpack_layer(layer: &Path, into: &Path) {
    let words = ["--extract", "--preserve-permissions", "--numeric-owner", "--file", text(layer)];
    succeed(program("tar", &words).args(["--directory", text(into)]));
}

fn document(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).expect("JSON")
}

fn blob(directory: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().expect("a digest");
    directory.join("blobs").join(digest.replace(':', "/"))
}
