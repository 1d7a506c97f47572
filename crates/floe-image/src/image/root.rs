//! What an image holds outside the store: accounts, folders, the links of packages.
//!
//! Above a base, everything that the base has already stays as it is: its directories with their modes, its accounts,
//! its `nsswitch.conf` and its certificates. Only what is asked for by name replaces a file of the base.

use std::collections::BTreeMap;

use floe_store::StorePath;

use super::account::{Account, account_entries, folder};
use super::compose::{ComposeError, Site};
use crate::layer::root_tree::{RootEntry, RootNode, RootTree};
use crate::layer::{LayerContents, Owner};

/// Where programs built elsewhere look for the bundle of certificate authorities.
const CA_BUNDLE_LINK: &str = "etc/ssl/certs/ca-certificates.crt";

/// The name service's settings.
pub(super) const NSSWITCH: &str = "etc/nsswitch.conf";

/// The files for which a base's own are as good as floe's.
pub(super) const ASKED_OF_A_BASE: [&str; 2] = [CA_BUNDLE_LINK, NSSWITCH];

/// Folders that anyone may write to.
const SHARED_FOLDERS: [&str; 2] = ["tmp", "var/tmp"];

impl Site<'_> {
    /// What the root's layer holds; `None` where the base has all of it.
    pub(super) fn root_contents(
        &self,
        account: &Account,
        ca_bundle: Option<&str>,
    ) -> Result<Option<LayerContents>, ComposeError> {
        let tree = self.root_tree(account, ca_bundle)?;
        let Some(base) = &self.settings.base else { return Ok(Some(LayerContents::Root(tree))) };
        let entries = tree.expand_onto(&base.root, self.trees).map_err(ComposeError::Root)?;
        Ok((!entries.is_empty()).then_some(LayerContents::Entries { entries }))
    }

    fn root_tree(&self, account: &Account, ca_bundle: Option<&str>) -> Result<RootTree, ComposeError> {
        let settings = self.settings;
        let base = settings.base.as_ref().map(|base| &base.root);
        let mut literals: BTreeMap<String, RootEntry> = BTreeMap::new();
        let mut put = |entry: RootEntry| literals.insert(entry.path.clone(), entry);
        for entry in account_entries(account, base) {
            put(entry);
        }
        for shared in SHARED_FOLDERS {
            put(folder(shared, 0o1777, Owner::default()));
        }
        let has_bundle = base.is_some_and(|base| base.has_file(CA_BUNDLE_LINK));
        if let Some(bundle) = ca_bundle.filter(|_| !has_bundle) {
            let node = RootNode::Symlink(bundle.to_owned());
            put(RootEntry { path: CA_BUNDLE_LINK.to_owned(), mode: 0o777, owner: Owner::default(), node });
        }
        for made in settings.volumes.iter().chain(&settings.workdir) {
            let path = made.trim_matches('/');
            let is_store = made.starts_with(self.closure.store_dir().as_str());
            if !path.is_empty() && !is_store && !SHARED_FOLDERS.contains(&path) {
                put(folder(path, 0o755, account.owner));
            }
        }
        for file in &settings.files {
            put(file.clone());
        }
        let package =
            |path: &StorePath| self.entry(path).ok_or_else(|| ComposeError::RootOutsideClosure(path.clone()));
        Ok(RootTree {
            store_dir: self.closure.store_dir().clone(),
            packages: settings.root.iter().map(package).collect::<Result<_, _>>()?,
            conflicts: settings.root_conflicts,
            literals: literals.into_values().collect(),
        })
    }
}
