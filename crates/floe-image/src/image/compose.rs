//! Composing draws up an image before anything is packed: what each layer holds, how a container starts.
//!
//! Settings, a closure and a plan come in; a [`Draft`] goes out. The trees are looked at, by name and
//! kind, but no file of the store is opened.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use floe_store::tree::{NodeKind, WalkError};
use floe_store::{Closure, PathInfo, StorePath, TreeSource};

use super::account::Account;
use super::{BaseLayer, Settings};
use crate::layer::root_tree::RootTreeError;
use crate::layer::{LayerContents, Owner, StoreEntry};
use crate::oci::{Config, Platform};
use crate::plan::{PlannedLayer, Policy, plan};

/// Where packages keep the bundle of certificate authorities, in nixpkgs' layout and in Debian's.
const CA_BUNDLES: [&str; 2] = ["etc/ssl/certs/ca-bundle.crt", "etc/ssl/certs/ca-certificates.crt"];

/// An image before it is packed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The layers of the base, bottom first.
    pub base: Vec<BaseLayer>,
    /// The layers above them, bottom first.
    pub layers: Vec<DraftLayer>,
    /// The config, with the diff IDs and the history of the base alone.
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
    /// The base is for another platform, so one of the two would not run.
    #[error("the base is for {base} and the contents are for {contents}")]
    Platform {
        /// The base's platform.
        base: Box<Platform>,
        /// The image's platform.
        contents: Box<Platform>,
    },
    /// The base leaves no room for a layer of the store and one of the root.
    #[error("layers of the base: {base}, expected at most {} of {max_layers}", max_layers - 2)]
    TooManyLayers {
        /// Layers of the base.
        base: usize,
        /// The most layers that the image may have.
        max_layers: usize,
    },
    /// The base's config names a user that its account files do not have, so nobody knows what belongs to it.
    #[error("the base runs as '{0}', which its /etc/passwd and /etc/group do not have")]
    UnknownUser(String),
    /// The links of packages cannot be put into the base's root.
    #[error("cannot put together the root of the image")]
    Root(#[source] RootTreeError),
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
/// When a package for `/` is not in the closure, the store cannot be looked at, or the base does not suit.
pub fn compose(
    closure: &Closure,
    settings: &Settings,
    trees: &dyn TreeSource,
) -> Result<Draft, ComposeError> {
    let site = Site { closure, settings, trees };
    let base = settings.base.as_ref();
    if let Some(base) = base.filter(|base| !base.suits(&settings.platform)) {
        let (base, contents) = (Box::new(base.config.platform()), Box::new(settings.platform.clone()));
        return Err(ComposeError::Platform { base, contents });
    }
    let policy = site.policy_above_base()?;
    let account = Account::choose(settings.user, base).map_err(ComposeError::UnknownUser)?;
    let ca_bundle = site.ca_bundle()?;
    let root = site.root_contents(&account, ca_bundle.as_deref())?;
    let config = site.config(&account, ca_bundle.as_deref())?;

    // The accounts and folders rarely change, but they lie above the store's layers: a change of the
    // root's links must not make a reader of the overlay re-create what is below.
    let mut layers = store_layers(closure, &policy);
    let reason = || "root: accounts, folders, links".to_owned();
    layers.extend(root.map(|contents| DraftLayer { contents, reason: reason() }));
    let base = base.map_or_else(Vec::new, |base| base.layers.clone());
    Ok(Draft { base, layers, config, annotations: settings.annotations.clone() })
}

fn store_layers(closure: &Closure, policy: &Policy) -> Vec<DraftLayer> {
    // A kept layer may carry paths that are not in the closure any more.
    let leftover = |path: &StorePath| policy.previous.as_ref()?.leftovers.get(path).map(described);
    let contents = |layer: &PlannedLayer| {
        let carried = layer.kept.iter().flat_map(|kept| &kept.carried).filter_map(leftover);
        let needed = layer.paths.iter().filter_map(|path| entry(closure, path));
        let mut paths: Vec<StoreEntry> = needed.chain(carried).collect();
        paths.sort_by(|left, right| left.path.cmp(&right.path));
        LayerContents::StorePaths { store_dir: closure.store_dir().clone(), paths, owner: Owner::default() }
    };
    let draft =
        |layer: &PlannedLayer| DraftLayer { contents: contents(layer), reason: layer.rule.to_string() };
    plan(closure, policy).layers.iter().map(draft).collect()
}

/// A path of the closure with the identity of its bytes.
fn entry(closure: &Closure, path: &StorePath) -> Option<StoreEntry> {
    closure.info(path).map(described)
}

fn described(info: &PathInfo) -> StoreEntry {
    StoreEntry { path: info.path.clone(), nar_hash: info.nar_hash, nar_size: info.nar_size }
}

/// Everything that composing looks at.
pub(super) struct Site<'a> {
    pub(super) closure: &'a Closure,
    pub(super) settings: &'a Settings,
    pub(super) trees: &'a dyn TreeSource,
}

impl Site<'_> {
    /// The policy with the base's layers counted.
    fn policy_above_base(&self) -> Result<Policy, ComposeError> {
        let base = self.settings.base.as_ref().map_or(0, |base| base.layers.len());
        let policy = &self.settings.policy;
        let for_store = policy.max_layers.get();
        match NonZeroUsize::new(for_store.saturating_sub(base)) {
            Some(max_layers) => Ok(Policy { max_layers, ..policy.clone() }),
            // One more is the root's.
            None => Err(ComposeError::TooManyLayers { base, max_layers: for_store + 1 }),
        }
    }

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

    /// A path of the closure with the identity of its bytes.
    pub(super) fn entry(&self, path: &StorePath) -> Option<StoreEntry> {
        entry(self.closure, path)
    }

    pub(super) fn node_kind(
        &self,
        path: &StorePath,
        relative: &str,
    ) -> Result<Option<NodeKind>, ComposeError> {
        let unreadable = |source| ComposeError::Unreadable { path: path.clone(), source };
        self.trees.node_kind(path, relative).map_err(unreadable)
    }
}
