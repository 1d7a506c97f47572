//! What a base has where a root tree is to be put: its directories, the links that lead to them, its accounts.
//!
//! A [`MergedTree`] comes in; the little of it that decides where links go and what stays as it is goes out, small
//! enough to be remembered. `/bin -> usr/bin` is respected: what is meant for `bin/x` belongs to `usr/bin/x`, since a
//! layer that holds `bin/` would hide the link and with it every program of the base.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};

use serde::{Deserialize, Serialize};

use crate::unpack::{Layers, MergedTree, NodeKind, ReadFilesError, TreePath, read_files};

/// The largest account file that is read: some 10,000 accounts.
const LARGEST_ACCOUNTS: u64 = 1 << 20;

/// What a base has, as far as a root tree is concerned. The default is a base with nothing in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BaseRoot {
    /// Its directories, without a leading slash.
    directories: BTreeSet<String>,
    /// Symlinks that lead to directories, and which: fully resolved, the root being empty.
    links: BTreeMap<String, String>,
    /// Files among those that were asked about.
    files: BTreeSet<String>,
    /// The text of `/etc/passwd`.
    passwd: Option<String>,
    /// The text of `/etc/group`.
    group: Option<String>,
}

impl BaseRoot {
    /// Looks at a base's tree, and reads its accounts; `files` are the paths that [`has_file`](Self::has_file) may be
    /// asked about. Names that are not UTF-8 are left out: nothing of floe's goes there.
    ///
    /// # Errors
    /// When the layer with the accounts cannot be read again.
    pub fn read(layers: &Layers<'_>, tree: &MergedTree, files: &[&str]) -> Result<Self, ReadFilesError> {
        let mut root = Self::default();
        let text = |path: &TreePath| std::str::from_utf8(path.as_bytes()).ok().map(str::to_owned);
        let is_directory =
            |path: &TreePath| tree.node(path).is_some_and(|node| node.kind == NodeKind::Directory);
        for (path, node) in tree.subtree(&TreePath::ROOT) {
            let Some(name) = text(path).filter(|name| !name.is_empty()) else { continue };
            match node.kind {
                NodeKind::Directory => drop(root.directories.insert(name)),
                NodeKind::Symlink(_) => {
                    let target = tree.resolve(path).ok().filter(is_directory);
                    if let Some(target) = target.as_ref().and_then(text) {
                        root.links.insert(name, target);
                    }
                }
                _ => {}
            }
        }
        let resolve = |path: &str| tree.resolve(&TreePath::parse(path.as_bytes()).ok()?).ok();
        root.files =
            files.iter().filter(|path| resolve(path).is_some()).map(|path| (*path).to_owned()).collect();

        let is_file =
            |path: &TreePath| matches!(tree.node(path).map(|node| &node.kind), Some(NodeKind::File { .. }));
        let passwd = resolve("etc/passwd").filter(is_file);
        let group = resolve("etc/group").filter(is_file);
        let accounts: Vec<TreePath> = passwd.iter().chain(&group).cloned().collect();
        read_files(layers, tree, &accounts, &mut |paths, content| {
            let mut bytes = Vec::new();
            content.take(LARGEST_ACCOUNTS + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > LARGEST_ACCOUNTS {
                return Err(io::Error::other("it is larger than 1 MiB"));
            }
            let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
            for path in paths.iter().copied() {
                if passwd.as_ref() == Some(path) {
                    root.passwd = Some(text.clone());
                }
                if group.as_ref() == Some(path) {
                    root.group = Some(text.clone());
                }
            }
            Ok(())
        })?;
        Ok(root)
    }

    /// Where a node that is meant for `path` belongs: the base's links to directories on the way are followed, one at
    /// its end is not.
    #[must_use]
    pub fn place(&self, path: &str) -> String {
        match path.rsplit_once('/') {
            Some((folder, name)) => joined(&self.folder(folder), name),
            None => path.to_owned(),
        }
    }

    /// Where the contents of a folder belong: the base's links to directories are followed, one at its end too.
    #[must_use]
    pub fn folder(&self, path: &str) -> String {
        let mut reached = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let next = joined(&reached, part);
            reached = self.links.get(&next).cloned().unwrap_or(next);
        }
        reached
    }

    /// Whether the base has a directory at a path in which no link is followed.
    #[must_use]
    pub fn has_directory(&self, path: &str) -> bool {
        path.is_empty() || self.directories.contains(path)
    }

    /// Whether the base has one of the files that were asked about, links followed.
    #[must_use]
    pub fn has_file(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    /// The text of `/etc/passwd`.
    #[must_use]
    pub fn passwd(&self) -> Option<&str> {
        self.passwd.as_deref()
    }

    /// The text of `/etc/group`.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_links_to_directories() {
        let root = BaseRoot {
            directories: ["usr", "usr/bin", "srv"].map(str::to_owned).into(),
            links: [("bin", "usr/bin"), ("usr/self", "usr"), ("all", "")]
                .map(|(link, target)| (link.to_owned(), target.to_owned()))
                .into(),
            ..BaseRoot::default()
        };
        for (path, place, folder) in [
            ("bin", "bin", "usr/bin"),
            ("bin/x", "usr/bin/x", "usr/bin/x"),
            ("usr/self/self/bin/x", "usr/bin/x", "usr/bin/x"),
            ("all/bin/x", "usr/bin/x", "usr/bin/x"),
            ("all", "all", ""),
            ("new/bin/x", "new/bin/x", "new/bin/x"),
        ] {
            assert_eq!(
                (root.place(path), root.folder(path)),
                (place.to_owned(), folder.to_owned()),
                "{path}"
            );
        }
        assert!(root.has_directory("") && root.has_directory("srv") && !root.has_directory("bin"));
    }
}
