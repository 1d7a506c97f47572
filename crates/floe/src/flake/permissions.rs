//! Permissions and owners of files that packages put into `/`, as nix2container's `perms` gives them.
//!
//! What a package links into `/` has the store's permissions. A file that is to have others becomes a file of the image's
//! own, by value; so does a folder. Symbolic links have no permissions and stay.

use std::collections::BTreeMap;
use std::io::{self, Read};

use floe_image::layer::Owner;
use floe_image::layer::root_tree::{RootEntry, RootNode};
use floe_store::tree::Visitor;
use floe_store::{Closure, TreeSource};
use regex::Regex;
use serde::Deserialize;

use crate::configuration::value;
use crate::failure::{Failure, Outcome};

/// Bytes of all files that become the image's own: they are kept in the recipe.
const LARGEST: u64 = 16 << 20;

/// One rule. Later rules win over earlier ones.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Permission {
    /// A store path, or a path below one.
    path: String,
    /// Which nodes below it, by their full path; all where nothing is said.
    #[serde(default)]
    regex: String,
    /// The permissions in octal.
    mode: Option<String>,
    /// Permissions that are added.
    or_mode: Option<String>,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
}

/// The nodes of the image's own that the rules make, sorted by path.
///
/// # Errors
/// When a rule is malformed, its path is not in the closure, or the files are too large.
pub(crate) fn entries(
    permissions: &[Permission],
    closure: &Closure,
    trees: &dyn TreeSource,
) -> Outcome<Vec<RootEntry>> {
    let mut found = BTreeMap::new();
    for permission in permissions {
        let path = closure.store_dir().containing(permission.path.as_ref()).map_err(Failure::usage)?;
        if closure.info(&path).is_none() {
            let message = format!("{} of 'perms' is not in the image", permission.path);
            return Err(Failure::bad_usage(message).hint("name a package of copyToRoot"));
        }
        let root = closure.store_dir().full_path(&path);
        let mut matches = Matches {
            below: permission.path.clone(),
            regex: Regex::new(&permission.regex).map_err(Failure::usage)?,
            mode: permission.mode.as_deref().map(value::mode).transpose().map_err(Failure::usage)?,
            or_mode: permission.or_mode.as_deref().map(value::mode).transpose().map_err(Failure::usage)?,
            owner: Owner { uid: permission.uid, gid: permission.gid },
            root,
            found: &mut found,
        };
        trees.walk(&path, &mut matches)?;
    }
    Ok(found.into_values().collect())
}

/// A walk that gathers the nodes of one rule.
struct Matches<'a> {
    below: String,
    regex: Regex,
    mode: Option<u32>,
    or_mode: Option<u32>,
    owner: Owner,
    root: String,
    found: &'a mut BTreeMap<String, RootEntry>,
}

impl Matches<'_> {
    /// The node's path below `/`, when the rule is about it.
    fn matched(&self, relative: &[u8]) -> io::Result<Option<String>> {
        let relative = std::str::from_utf8(relative).map_err(io::Error::other)?;
        let full = format!("{}/{relative}", self.root);
        let full = full.trim_end_matches('/');
        let is_below =
            full.strip_prefix(&self.below).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let matches = !relative.is_empty() && is_below && self.regex.is_match(full);
        Ok(matches.then(|| relative.to_owned()))
    }

    fn put(&mut self, path: String, mode: u32, node: RootNode) -> io::Result<()> {
        let mode = self.found.get(&path).map_or(mode, |earlier| earlier.mode);
        let mode = self.mode.unwrap_or(mode) | self.or_mode.unwrap_or_default();
        self.found.insert(path.clone(), RootEntry { path, mode, owner: self.owner, node });
        let size = |entry: &RootEntry| match &entry.node {
            RootNode::File(bytes) => bytes.len() as u64,
            _ => 0,
        };
        if self.found.values().map(size).sum::<u64>() > LARGEST {
            let message =
                "the files of 'perms' are larger than 16 MiB: expected small ones, such as settings";
            return Err(io::Error::other(message));
        }
        Ok(())
    }
}

impl Visitor for Matches<'_> {
    fn enter_directory(&mut self, relative: &[u8]) -> io::Result<()> {
        match self.matched(relative)? {
            Some(path) => self.put(path, 0o755, RootNode::Directory),
            None => Ok(()),
        }
    }

    fn leave_directory(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn file(
        &mut self,
        relative: &[u8],
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> io::Result<()> {
        let Some(path) = self.matched(relative)? else {
            return io::copy(contents, &mut io::sink()).map(drop);
        };
        // One byte more than allowed is enough to be refused.
        let mut bytes = Vec::new();
        contents.take(size.min(LARGEST + 1)).read_to_end(&mut bytes)?;
        self.put(path, if executable { 0o555 } else { 0o444 }, RootNode::File(bytes))
    }

    fn symlink(&mut self, _relative: &[u8], _target: &[u8]) -> io::Result<()> {
        Ok(())
    }
}
