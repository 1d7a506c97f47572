//! The root tree is what an image holds outside the store: packages' trees merged into `/` as
//! symlinks, literal files, folders.
//!
//! It is kept as a description; [`RootTree::expand`] reads the packages' directories only when the
//! layer is really packed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use floe_store::tree::{NodeKind, WalkError};
use floe_store::{StoreDir, StorePath, TreeSource};
use serde::{Deserialize, Serialize};

use super::{BaseRoot, Owner, StoreEntry};

/// What stands outside the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootTree {
    /// Where the packages belong.
    pub store_dir: StoreDir,
    /// Packages whose trees are merged into `/`, first one first.
    pub packages: Vec<StoreEntry>,
    /// What happens when two packages hold the same file.
    pub conflicts: Conflicts,
    /// Folders, files and links by value; they win over packages.
    pub literals: Vec<RootEntry>,
}

/// What happens when two packages hold the same file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conflicts {
    /// An error that names both packages.
    #[default]
    Refuse,
    /// The package that was named first wins.
    First,
}

/// One node outside the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootEntry {
    /// Where it stands, without a leading slash: `etc/passwd`.
    pub path: String,
    /// Permissions, such as `0o1777`.
    pub mode: u32,
    /// Who owns it.
    pub owner: Owner,
    /// What it is.
    pub node: RootNode,
}

/// What a node outside the store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "value")]
pub enum RootNode {
    /// A folder.
    Directory,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link to this target.
    Symlink(String),
}

/// Why a root tree cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RootTreeError {
    /// Two packages hold the same file, and neither was preferred: one of them would be hidden.
    #[error("both {first} and {second} have /{path}")]
    Conflict {
        /// The path below `/`.
        path: String,
        /// The package that was named first.
        first: StorePath,
        /// The package that was named later.
        second: StorePath,
    },
    /// A package's tree cannot be read.
    #[error("cannot link {package} into /")]
    Unreadable {
        /// The package.
        package: StorePath,
        /// The reason.
        #[source]
        source: WalkError,
    },
    /// A package has a file whose name is not UTF-8, which no link is made for.
    #[error("cannot link {package} into /: the name {name:?} below /{parent} is not UTF-8")]
    NotText {
        /// The package.
        package: StorePath,
        /// The folder that holds the file, below `/`.
        parent: String,
        /// The name.
        name: OsString,
    },
}

/// Folders of `/` itself are always real folders, so that an engine can write `/etc/resolv.conf` and
/// a derived image can add to `/bin`; below them a folder of one package alone is a single link.
const SHALLOWEST_FOLDER_LINK: usize = 2;

/// Build-time metadata that means nothing at run time (nixpkgs' `buildEnv` leaves it out as well).
const IGNORED: [&str; 2] = ["nix-support", "propagated-build-inputs"];

impl RootTree {
    /// The nodes that the tar holds, parents before children, sorted by path; each path once.
    ///
    /// # Errors
    /// When two packages hold the same file, or a package cannot be read.
    pub fn expand(&self, trees: &dyn TreeSource) -> Result<Vec<RootEntry>, RootTreeError> {
        self.expand_onto(&BaseRoot::default(), trees)
    }

    /// The nodes that the tar holds when it lies above a base: the base's links to directories are followed, and
    /// directories that it has are not among the nodes, so that they stay as they are.
    ///
    /// # Errors
    /// When two packages hold the same file, or a package cannot be read.
    pub fn expand_onto(
        &self,
        base: &BaseRoot,
        trees: &dyn TreeSource,
    ) -> Result<Vec<RootEntry>, RootTreeError> {
        let mut merge =
            Merge { tree: self, base, trees, entries: BTreeMap::new(), packages: BTreeMap::new() };
        for literal in &self.literals {
            merge.add_literal(literal);
        }
        let everyone: Vec<&StoreEntry> = self.packages.iter().collect();
        merge.folder("", &everyone, 0)?;
        Ok(merge.entries.into_values().collect())
    }
}

/// Sorts a path's parts one by one, so that a folder comes right before what is in it.
fn key(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

/// A merge under way.
struct Merge<'a> {
    tree: &'a RootTree,
    base: &'a BaseRoot,
    trees: &'a dyn TreeSource,
    entries: BTreeMap<Vec<String>, RootEntry>,
    /// The package that each link leads to: two names of a base's directory may bring two packages to one place.
    packages: BTreeMap<Vec<String>, StorePath>,
}

impl Merge<'_> {
    /// Merges one folder that each of `packages` has; literals in it stay.
    fn folder(&mut self, folder: &str, packages: &[&StoreEntry], depth: usize) -> Result<(), RootTreeError> {
        let mut children: BTreeMap<String, Vec<(&StoreEntry, NodeKind)>> = BTreeMap::new();
        for package in packages {
            for (name, kind) in self.children(package, folder)? {
                if depth > 0 || !IGNORED.contains(&name.as_str()) {
                    children.entry(name).or_default().push((package, kind));
                }
            }
        }
        for (name, owners) in children {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            self.node(&path, &owners, depth + 1)?;
        }
        Ok(())
    }

    fn node(
        &mut self,
        path: &str,
        owners: &[(&StoreEntry, NodeKind)],
        depth: usize,
    ) -> Result<(), RootTreeError> {
        let (first, kind) = owners[0];
        let place = self.base.place(path);
        let folder_is_there = self.base.has_directory(&self.base.folder(path));
        let folder_is_there = match self.entries.get(&key(&place)) {
            Some(RootEntry { node: RootNode::Directory, .. }) => true,
            Some(_) => return self.yield_to_earlier(path, &place, &first.path),
            None => folder_is_there,
        };
        let all_folders = owners.iter().all(|(_, kind)| *kind == NodeKind::Directory);
        let merged = folder_is_there || owners.len() > 1 || depth < SHALLOWEST_FOLDER_LINK;
        if all_folders && merged {
            if !folder_is_there {
                self.entries.insert(key(&place), folder_entry(&place));
            }
            let packages: Vec<&StoreEntry> = owners.iter().map(|(package, _)| *package).collect();
            return self.folder(path, &packages, depth);
        }
        if folder_is_there {
            return Ok(());
        }
        for (second, second_kind) in &owners[1..] {
            self.agree(path, (first, kind), (second, *second_kind))?;
        }
        let target = format!("{}/{path}", self.tree.store_dir.full_path(&first.path));
        let node = RootNode::Symlink(target);
        let entry = RootEntry { path: place.clone(), mode: 0o777, owner: Owner::default(), node };
        self.add_parents(&place);
        self.packages.insert(key(&place), first.path.clone());
        self.entries.insert(key(&place), entry);
        Ok(())
    }

    /// Something stands where a package's node belongs: a literal, which wins, or a link of another package that came
    /// there by another name of the directory.
    fn yield_to_earlier(&self, path: &str, place: &str, second: &StorePath) -> Result<(), RootTreeError> {
        match self.packages.get(&key(place)) {
            Some(first) if first != second && self.tree.conflicts == Conflicts::Refuse => {
                let (first, second) = (first.clone(), second.clone());
                Err(RootTreeError::Conflict { path: path.to_owned(), first, second })
            }
            _ => Ok(()),
        }
    }

    /// Two packages have a node of one name, and not both are folders: fine when the first is
    /// preferred, or when both are symlinks to the same place.
    fn agree(
        &self,
        path: &str,
        (first, first_kind): (&StoreEntry, NodeKind),
        (second, second_kind): (&StoreEntry, NodeKind),
    ) -> Result<(), RootTreeError> {
        if self.tree.conflicts == Conflicts::First {
            return Ok(());
        }
        if first_kind == NodeKind::Symlink
            && second_kind == NodeKind::Symlink
            && self.link_target(first, path)? == self.link_target(second, path)?
        {
            return Ok(());
        }
        let (first, second) = (first.path.clone(), second.path.clone());
        Err(RootTreeError::Conflict { path: path.to_owned(), first, second })
    }

    fn children(&self, package: &StoreEntry, folder: &str) -> Result<Vec<(String, NodeKind)>, RootTreeError> {
        let unreadable = |source| RootTreeError::Unreadable { package: package.path.clone(), source };
        let children = self.trees.children(&package.path, folder).map_err(unreadable)?;
        let as_text = |(name, kind): (OsString, NodeKind)| match name.into_string() {
            Ok(name) => Ok((name, kind)),
            Err(name) => {
                Err(RootTreeError::NotText { package: package.path.clone(), parent: folder.to_owned(), name })
            }
        };
        children.into_iter().map(as_text).collect()
    }

    fn link_target(&self, package: &StoreEntry, path: &str) -> Result<PathBuf, RootTreeError> {
        let unreadable = |source| RootTreeError::Unreadable { package: package.path.clone(), source };
        self.trees.link_target(&package.path, path).map_err(unreadable)
    }

    fn add_literal(&mut self, literal: &RootEntry) {
        let is_folder = literal.node == RootNode::Directory;
        let place = if is_folder { self.base.folder(&literal.path) } else { self.base.place(&literal.path) };
        if is_folder && self.base.has_directory(&place) {
            return;
        }
        self.add_parents(&place);
        self.entries.insert(key(&place), RootEntry { path: place, ..literal.clone() });
    }

    /// Adds the folders on the way to a place, unless the base has them.
    fn add_parents(&mut self, place: &str) {
        for (slash, _) in place.match_indices('/') {
            let parent = &place[..slash];
            if !self.base.has_directory(parent) {
                self.entries.entry(key(parent)).or_insert_with(|| folder_entry(parent));
            }
        }
    }
}

/// A folder that nobody described: owned by root, readable by all.
fn folder_entry(path: &str) -> RootEntry {
    RootEntry { path: path.to_owned(), mode: 0o755, owner: Owner::default(), node: RootNode::Directory }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use floe_store::NarHash;
    use floe_store::tree::LocalTrees;

    use super::*;

    struct Packages {
        folder: tempfile::TempDir,
        tree: RootTree,
    }

    impl Packages {
        fn new(packages: &[(&str, &[&str])]) -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let mut tree = RootTree::default();
            for (name, files) in packages {
                let path: StorePath = format!("{}-{name}", "0".repeat(32)).parse().expect("a store path");
                for file in *files {
                    make(&folder.path().join(path.as_str()), file);
                }
                tree.packages.push(StoreEntry { path, nar_hash: NarHash::from_bytes([0; 32]), nar_size: 0 });
            }
            Self { folder, tree }
        }

        fn literal(mut self, path: &str, node: RootNode) -> Self {
            let entry = RootEntry { path: path.to_owned(), mode: 0o644, owner: Owner::default(), node };
            self.tree.literals.push(entry);
            self
        }

        fn listing(&self) -> Result<Vec<String>, RootTreeError> {
            let entries = self.tree.expand(&LocalTrees::new(self.folder.path()))?;
            let line = |entry: RootEntry| match entry.node {
                RootNode::Directory => format!("{}/", entry.path),
                RootNode::File(_) => entry.path,
                RootNode::Symlink(target) => {
                    format!(
                        "{} -> {}",
                        entry.path,
                        target.replace(&format!("/nix/store/{}-", "0".repeat(32)), "@")
                    )
                }
            };
            Ok(entries.into_iter().map(line).collect())
        }
    }

    fn make(package: &Path, file: &str) {
        let (file, target) =
            file.split_once(" -> ").map_or((file, None), |(file, target)| (file, Some(target)));
        let location = package.join(file);
        std::fs::create_dir_all(location.parent().expect("a parent")).expect("a folder");
        match target {
            Some(target) => std::os::unix::fs::symlink(target, location).expect("a symlink"),
            None => std::fs::write(location, file).expect("a file"),
        }
    }

    #[test]
    fn links_the_folders_of_one_package_and_merges_those_of_many() {
        let packages = Packages::new(&[
            ("a", &["bin/a", "share/man/man1/a.1", "share/a/data", "nix-support/x"]),
            ("b", &["bin/b", "share/man/man1/b.1", "etc/b.conf"]),
        ]);
        assert_eq!(
            packages.listing().expect("a merge"),
            [
                "bin/",
                "bin/a -> @a/bin/a",
                "bin/b -> @b/bin/b",
                "etc/",
                "etc/b.conf -> @b/etc/b.conf",
                "share/",
                "share/a -> @a/share/a",
                "share/man/",
                "share/man/man1/",
                "share/man/man1/a.1 -> @a/share/man/man1/a.1",
                "share/man/man1/b.1 -> @b/share/man/man1/b.1",
            ]
        );
    }

    #[test]
    fn names_both_packages_of_a_conflict_unless_the_first_is_preferred() {
        let mut packages = Packages::new(&[("a", &["bin/x"]), ("b", &["bin/x"])]);
        let refused = packages.listing().expect_err("a conflict").to_string();
        assert!(refused.contains("-a and ") && refused.ends_with("-b have /bin/x"), "{refused}");
        packages.tree.conflicts = Conflicts::First;
        assert_eq!(packages.listing().expect("a merge"), ["bin/", "bin/x -> @a/bin/x"]);
    }

    #[test]
    fn equal_symlinks_agree_but_a_file_and_a_folder_do_not() {
        let packages = Packages::new(&[("a", &["sbin -> bin"]), ("b", &["sbin -> bin"])]);
        assert_eq!(packages.listing().expect("a merge"), ["sbin -> @a/sbin"]);
        let packages = Packages::new(&[("a", &["share/x"]), ("b", &["share/x/y"])]);
        assert!(matches!(packages.listing(), Err(RootTreeError::Conflict { .. })));
    }

    #[test]
    fn literals_win_and_keep_their_folders_real() {
        let packages = Packages::new(&[("a", &["etc/ssl/certs/x", "etc/passwd"])])
            .literal("etc/passwd", RootNode::File(Vec::new()))
            .literal("etc/ssl/openssl.cnf", RootNode::File(Vec::new()));
        assert_eq!(
            packages.listing().expect("a merge"),
            ["etc/", "etc/passwd", "etc/ssl/", "etc/ssl/certs -> @a/etc/ssl/certs", "etc/ssl/openssl.cnf"]
        );
    }
}
