//! Images above a base: what is inherited, and where things go.

mod inheriting;
mod placing;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use floe_store::tree::LocalTrees;
use floe_store::{Closure, NarHash, PathInfo, StoreDir, StorePath};
use jiff::Timestamp;

use super::{Base, BaseLayer, BlobOrigin, ComposeError, Draft, Settings, compose};
use crate::layer::{BaseRoot, Layer};
use crate::oci::{Config, Descriptor, DiffId, Digest, MediaType};
use crate::plan::{Policy, Strategy};

/// A store of small packages.
struct Store {
    folder: tempfile::TempDir,
    paths: Vec<StorePath>,
}

impl Store {
    /// Packages by name, with their files; those in `bin` may be executed.
    fn new(packages: &[(&str, &[&str])]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut paths = Vec::new();
        for (name, files) in packages {
            let path: StorePath = format!("{}-{name}", "0".repeat(32)).parse().expect("a store path");
            for file in *files {
                make(&folder.path().join(path.as_str()).join(file));
            }
            paths.push(path);
        }
        Self { folder, paths }
    }

    /// The full path of a package.
    fn full_path(name: &str) -> String {
        format!("/nix/store/{}-{name}", "0".repeat(32))
    }

    fn compose(&self, settings: &Settings) -> Result<Draft, ComposeError> {
        let info = |path: &StorePath| PathInfo {
            path: path.clone(),
            nar_hash: NarHash::from_bytes([0; 32]),
            nar_size: 1,
            references: BTreeSet::new(),
            deriver: None,
            content_address: None,
        };
        let infos: Vec<PathInfo> = self.paths.iter().map(info).collect();
        let closure = Closure::new(StoreDir::default(), self.paths.clone(), infos).expect("a closure");
        compose(&closure, settings, &LocalTrees::new(self.folder.path()))
    }
}

fn make(file: &Path) {
    std::fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
    std::fs::write(file, "").expect("a file");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("ours");
}

/// Settings in which nothing was asked.
fn nothing(base: Option<Base>) -> Settings {
    Settings {
        platform: "linux/amd64".parse().expect("a platform"),
        created: Timestamp::constant(1, 0),
        base,
        user: None,
        entrypoint: None,
        cmd: None,
        env: BTreeMap::new(),
        workdir: None,
        ports: BTreeSet::new(),
        volumes: BTreeSet::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        stop_signal: None,
        healthcheck: None,
        required_env: BTreeSet::new(),
        root: Vec::new(),
        root_conflicts: crate::layer::root_tree::Conflicts::default(),
        files: Vec::new(),
        policy: Policy::new(Strategy::Stable, NonZeroUsize::new(99).expect("99 is not 0")),
    }
}

/// A base of some layers with this execution config.
fn base(layers: u64, config: serde_json::Value, root: BaseRoot) -> Base {
    let diff_id = |number: u64| DiffId::new(Digest::of(&number.to_le_bytes()));
    let layer = |number| Layer {
        descriptor: Descriptor::new(MediaType::LayerGzip, Digest::of(b"blob"), number),
        diff_id: diff_id(number),
    };
    let diff_ids: Vec<String> = (0..layers).map(|number| diff_id(number).to_string()).collect();
    let history: Vec<serde_json::Value> =
        (0..layers).map(|_| serde_json::json!({ "created_by": "base" })).collect();
    let config: Config = serde_json::from_value(serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": config, "history": history,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    }))
    .expect("a config");
    let layers =
        (0..layers).map(|number| BaseLayer { layer: layer(number), origin: BlobOrigin::Kept }).collect();
    Base { layers, config, root }
}
