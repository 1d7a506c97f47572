//! Composing draws up an image before anything is packed: what each layer holds, how a container starts.
//!
//! Settings, a closure and a plan come in; a [`Draft`] goes out. The trees are looked at, by name and
//! kind, but no file of the store is opened.

use std::collections::BTreeMap;

use floe_store::tree::{NodeKind, WalkError};
use floe_store::{Closure, StorePath, TreeSource};

use super::users::{account_entries, folder};
use super::{REQUIRED_ENV_LABEL, Settings};
use crate::layer::root_tree::{RootEntry, RootNode, RootTree};
use crate::layer::{LayerContents, Owner, StoreEntry};
use crate::oci::{Config, Empty, ExecutionConfig, RootFs};
use crate::plan::{Plan, plan};

/// Where packages keep the bundle of certificate authorities, in nixpkgs' layout and in Debian's.
const CA_BUNDLES: [&str; 2] = ["etc/ssl/certs/ca-bundle.crt", "etc/ssl/certs/ca-certificates.crt"];

/// Where programs built elsewhere look for the bundle.
const CA_BUNDLE_LINK: &str = "etc/ssl/certs/ca-certificates.crt";

/// An image before it is packed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The layers, bottom first.
    pub layers: Vec<DraftLayer>,
    /// The config, without diff IDs and history.
    pub config: Config,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

/// One layer before it is packed.
#[derive(Clone, Debug)]
pub struct DraftLayer {
    /// What the layer holds.
    pub contents: LayerContents,
    /// Why, as a short phrase for people.
    pub reason: String,
}

/// Why an image cannot be composed.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A package that is to be linked into `/` is not in the closure, so it would dangle.
    #[error("{0} is to be linked into / but is not in the closure")]
    RootOutsideClosure(StorePath),
    /// The store cannot be looked at.
    #[error("cannot look at {path}")]
    Unreadable {
        /// The store path.
        path: StorePath,
        /// The reason.
        #[source]
        source: WalkError,
    },
}

/// Draws up an image.
///
/// # Errors
/// When a package for `/` is not in the closure, or the store cannot be looked at.
pub fn compose(
    closure: &Closure,
    settings: &Settings,
    trees: &dyn TreeSource,
) -> Result<Draft, ComposeError> {
    let site = Site { closure, settings, trees };
    let ca_bundle = site.ca_bundle()?;
    let root = site.root_tree(ca_bundle.as_deref())?;
    let config = site.config(ca_bundle.as_deref())?;

    // The accounts and folders rarely change, but they lie above the store's layers: a change of the
    // root's links must not make a reader of the overlay re-create what is below.
    let mut layers = store_layers(closure, plan(closure, &settings.policy));
    layers.push(DraftLayer {
        contents: LayerContents::Root(root),
        reason: "root: accounts, folders, links".into(),
    });
    Ok(Draft { layers, config, annotations: settings.annotations.clone() })
}

fn store_layers(closure: &Closure, plan: Plan) -> Vec<DraftLayer> {
    let contents = |paths: &[StorePath]| LayerContents::StorePaths {
        store_dir: closure.store_dir().clone(),
        paths: paths.iter().filter_map(|path| entry(closure, path)).collect(),
        owner: Owner::default(),
    };
    let draft = |layer: &crate::plan::PlannedLayer| DraftLayer {
        contents: contents(&layer.paths),
        reason: layer.rule.to_string(),
    };
    plan.layers.iter().map(draft).collect()
}

/// A path of the closure with the identity of its bytes.
fn entry(closure: &Closure, path: &StorePath) -> Option<StoreEntry> {
    let info = closure.info(path)?;
    Some(StoreEntry { path: path.clone(), nar_hash: info.nar_hash, nar_size: info.nar_size })
}

/// Everything that composing looks at.
struct Site<'a> {
    closure: &'a Closure,
    settings: &'a Settings,
    trees: &'a dyn TreeSource,
}

impl Site<'_> {
    /// The full path of the closure's CA bundle: the first one among the paths in order.
    fn ca_bundle(&self) -> Result<Option<String>, ComposeError> {
        for info in self.closure.paths() {
            for bundle in CA_BUNDLES {
                if matches!(
                    self.node_kind(&info.path, bundle)?,
                    Some(NodeKind::Regular { .. } | NodeKind::Symlink)
                ) {
                    return Ok(Some(format!("{}/{bundle}", self.closure.store_dir().full_path(&info.path))));
                }
            }
        }
        Ok(None)
    }

    fn root_tree(&self, ca_bundle: Option<&str>) -> Result<RootTree, ComposeError> {
        let settings = self.settings;
        let mut literals: BTreeMap<String, RootEntry> = BTreeMap::new();
        let mut put = |entry: RootEntry| literals.insert(entry.path.clone(), entry);
        for entry in account_entries(settings.user) {
            put(entry);
        }
        put(folder("tmp", 0o1777, Owner::default()));
        put(folder("var/tmp", 0o1777, Owner::default()));
        if let Some(bundle) = ca_bundle {
            let node = RootNode::Symlink(bundle.to_owned());
            put(RootEntry { path: CA_BUNDLE_LINK.to_owned(), mode: 0o777, owner: Owner::default(), node });
        }
        for made in settings.volumes.iter().chain(&settings.workdir) {
            let path = made.trim_matches('/');
            let is_store = made.starts_with(self.closure.store_dir().as_str());
            if !path.is_empty() && !is_store && path != "tmp" && path != "var/tmp" {
                put(folder(path, 0o755, settings.user.owner));
            }
        }
        for file in &settings.files {
            put(file.clone());
        }
        let package = |path: &StorePath| {
            entry(self.closure, path).ok_or_else(|| ComposeError::RootOutsideClosure(path.clone()))
        };
        Ok(RootTree {
            store_dir: self.closure.store_dir().clone(),
            packages: settings.root.iter().map(package).collect::<Result<_, _>>()?,
            conflicts: settings.root_conflicts,
            literals: literals.into_values().collect(),
        })
    }

    fn config(&self, ca_bundle: Option<&str>) -> Result<Config, ComposeError> {
        let settings = self.settings;
        let mut env = BTreeMap::from([
            ("HOME".to_owned(), settings.user.home().to_owned()),
            ("PATH".to_owned(), self.search_path()?),
            ("USER".to_owned(), settings.user.name().to_owned()),
        ]);
        if let Some(bundle) = ca_bundle {
            env.insert("SSL_CERT_FILE".to_owned(), bundle.to_owned());
        }
        env.extend(settings.env.clone());

        let mut labels = settings.labels.clone();
        if !settings.required_env.is_empty() {
            let names: Vec<&str> = settings.required_env.iter().map(String::as_str).collect();
            labels.insert(REQUIRED_ENV_LABEL.to_owned(), names.join(" "));
        }
        let entrypoint = match (&settings.entrypoint, &settings.cmd) {
            (Some(entrypoint), _) => Some(entrypoint.clone()),
            (None, Some(_)) => None,
            (None, None) => self.own_program()?.map(|program| vec![program]),
        };
        let present = |names: &std::collections::BTreeSet<String>| {
            names.iter().map(|name| (name.clone(), Empty {})).collect()
        };
        let Owner { uid, gid } = settings.user.owner;
        Ok(Config {
            created: Some(settings.created.to_string()),
            author: None,
            architecture: settings.platform.architecture.clone(),
            os: settings.platform.os.clone(),
            variant: settings.platform.variant.clone(),
            config: ExecutionConfig {
                user: Some(format!("{uid}:{gid}")),
                exposed_ports: present(&settings.ports),
                env: env.into_iter().map(|(name, value)| format!("{name}={value}")).collect(),
                entrypoint,
                cmd: settings.cmd.clone(),
                healthcheck: settings.healthcheck.clone(),
                volumes: present(&settings.volumes),
                working_dir: settings.workdir.clone(),
                labels,
                stop_signal: settings.stop_signal.clone(),
                other: BTreeMap::new(),
            },
            rootfs: RootFs::layers(Vec::new()),
            history: Vec::new(),
            other: BTreeMap::new(),
        })
    }

    /// The `bin` folders of the roots, then `/bin`: always something, since engines that are given no
    /// PATH fail to start a program by name.
    fn search_path(&self) -> Result<String, ComposeError> {
        let mut folders = Vec::new();
        for root in self.closure.roots() {
            if self.node_kind(root, "bin")?.is_some() {
                folders.push(format!("{}/bin", self.closure.store_dir().full_path(root)));
            }
        }
        folders.push("/bin".to_owned());
        Ok(folders.join(":"))
    }

    /// The program that the first root is about: itself when it is one, else `bin/<package name>`.
    fn own_program(&self) -> Result<Option<String>, ComposeError> {
        let Some(root) = self.closure.roots().first() else { return Ok(None) };
        let full_path = self.closure.store_dir().full_path(root);
        if self.node_kind(root, "")? == Some(NodeKind::Regular { executable: true }) {
            return Ok(Some(full_path));
        }
        let program = format!("bin/{}", root.package().name);
        Ok(match self.node_kind(root, &program)? {
            Some(NodeKind::Regular { executable: true } | NodeKind::Symlink) => {
                Some(format!("{full_path}/{program}"))
            }
            _ => None,
        })
    }

    fn node_kind(&self, path: &StorePath, relative: &str) -> Result<Option<NodeKind>, ComposeError> {
        let unreadable = |source| ComposeError::Unreadable { path: path.clone(), source };
        self.trees.node_kind(path, relative).map_err(unreadable)
    }
}
