//! A closure is a set of store paths that holds every path its members refer to.

use std::collections::{BTreeMap, BTreeSet};

use crate::{PathInfo, StoreDir, StorePath};

/// Every path that the roots reach, with what Nix registers about each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    store_dir: StoreDir,
    /// Invariant: each is a key of `paths`. In the order given, without duplicates.
    roots: Vec<StorePath>,
    /// Invariant: each reference of each path is a key; every key is reached from a root.
    paths: BTreeMap<StorePath, PathInfo>,
}

/// Why paths do not form a closure.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// A root is not among the paths; an image without it could not run.
    #[error("the root {0} is not among the closure's paths")]
    MissingRoot(StorePath),
    /// A path refers to one that is not among the paths; programs would miss files at run time.
    #[error("{referrer} refers to {missing}, which is not among the closure's paths")]
    MissingReference {
        /// The path that holds the reference.
        referrer: StorePath,
        /// The path that is not there.
        missing: StorePath,
    },
    /// Two closures that are joined belong to different stores.
    #[error("paths of the store {0} cannot join paths of the store {1}")]
    OtherStore(StoreDir, StoreDir),
}

impl Closure {
    /// Makes the closure of `roots` out of `infos`, which may come in any order and may hold more
    /// paths than the roots reach; those are left out.
    ///
    /// # Errors
    /// When a root or a reference is not among `infos`.
    pub fn new(
        store_dir: StoreDir,
        roots: impl IntoIterator<Item = StorePath>,
        infos: impl IntoIterator<Item = PathInfo>,
    ) -> Result<Self, ClosureError> {
        let mut paths: BTreeMap<StorePath, PathInfo> =
            infos.into_iter().map(|info| (info.path.clone(), info)).collect();
        let mut reached = BTreeSet::new();
        let roots: Vec<StorePath> = roots.into_iter().filter(|root| reached.insert(root.clone())).collect();
        if let Some(missing) = roots.iter().find(|root| !paths.contains_key(*root)) {
            return Err(ClosureError::MissingRoot(missing.clone()));
        }

        let mut waiting = roots.clone();
        while let Some(referrer) = waiting.pop() {
            for reference in &paths[&referrer].references {
                if !paths.contains_key(reference) {
                    return Err(ClosureError::MissingReference { referrer, missing: reference.clone() });
                }
                if reached.insert(reference.clone()) {
                    waiting.push(reference.clone());
                }
            }
        }
        paths.retain(|path, _| reached.contains(path));
        Ok(Self { store_dir, roots, paths })
    }

    /// Makes the closure of every path in `infos`; its roots are the paths that no other path refers to, sorted.
    ///
    /// Paths that only refer to each other in a circle have no such root: the first of them by name
    /// becomes one, so that no path is left out.
    ///
    /// # Errors
    /// When a reference is not among `infos`.
    pub fn of_all(
        store_dir: StoreDir,
        infos: impl IntoIterator<Item = PathInfo>,
    ) -> Result<Self, ClosureError> {
        let infos: BTreeMap<StorePath, PathInfo> =
            infos.into_iter().map(|info| (info.path.clone(), info)).collect();
        let referred: BTreeSet<&StorePath> = infos
            .values()
            .flat_map(|info| info.references.iter().filter(|reference| **reference != info.path))
            .collect();
        let unreferred = infos.keys().filter(|path| !referred.contains(path));
        let mut reached = BTreeSet::new();
        let mut roots = Vec::new();
        for root in unreferred.chain(infos.keys()) {
            if !reached.insert(root) {
                continue;
            }
            roots.push(root.clone());
            let mut waiting = vec![root];
            while let Some(info) = waiting.pop().and_then(|path| infos.get(path)) {
                waiting.extend(info.references.iter().filter(|reference| reached.insert(reference)));
            }
        }
        roots.sort();
        Self::new(store_dir, roots, infos.into_values())
    }

    /// Joins two closures of one store: the roots of both, in order, and every path once.
    ///
    /// # Errors
    /// When the store directories differ.
    pub fn join(self, other: Self) -> Result<Self, ClosureError> {
        if self.store_dir != other.store_dir {
            return Err(ClosureError::OtherStore(other.store_dir, self.store_dir));
        }
        let roots = self.roots.into_iter().chain(other.roots);
        let infos = self.paths.into_values().chain(other.paths.into_values());
        Self::new(self.store_dir, roots, infos)
    }

    /// The store directory that every path belongs to.
    #[must_use]
    pub fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    /// The paths that the closure was asked for, in that order, without duplicates.
    #[must_use]
    pub fn roots(&self) -> &[StorePath] {
        &self.roots
    }

    /// Every path, sorted by base name.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &PathInfo> {
        self.paths.values()
    }

    /// What Nix registers about one path, or `None` when it is not in the closure.
    #[must_use]
    pub fn info(&self, path: &StorePath) -> Option<&PathInfo> {
        self.paths.get(path)
    }

    /// How many paths the closure holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether the closure holds no path at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The sum of the NAR sizes, in bytes; stays at `u64::MAX` where sizes were made up.
    #[must_use]
    pub fn nar_size(&self) -> u64 {
        self.paths.values().fold(0, |sum, info| sum.saturating_add(info.nar_size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NarHash;

    fn path(name: &str) -> StorePath {
        let letter = name.chars().next().expect("a name");
        format!("{}-{name}", letter.to_string().repeat(32)).parse().expect("a well-formed path")
    }

    fn info(name: &str, references: &[&str]) -> PathInfo {
        PathInfo {
            path: path(name),
            nar_hash: NarHash::from_bytes([0; 32]),
            nar_size: 10,
            references: references.iter().map(|reference| path(reference)).collect(),
            deriver: None,
            content_address: None,
        }
    }

    #[test]
    fn keeps_what_the_roots_reach() {
        let infos = [info("a", &["b", "a"]), info("b", &["c"]), info("c", &["b"]), info("z", &[])];
        let closure =
            Closure::new(StoreDir::default(), [path("a"), path("c"), path("a")], infos).expect("a closure");
        let names: Vec<&str> = closure.paths().map(|info| info.path.name()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(closure.roots(), [path("a"), path("c")]);
        assert_eq!(closure.nar_size(), 30);
    }

    #[test]
    fn names_what_is_missing() {
        let missing = Closure::new(StoreDir::default(), [path("a")], [info("a", &["b"])]);
        assert!(
            matches!(missing, Err(ClosureError::MissingReference { missing, .. }) if missing == path("b"))
        );
        let missing = Closure::new(StoreDir::default(), [path("a")], []);
        assert!(matches!(missing, Err(ClosureError::MissingRoot(root)) if root == path("a")));
    }

    #[test]
    fn takes_unreferred_paths_for_roots() {
        let infos = [
            info("a", &["b", "a"]),
            info("b", &[]),
            info("x", &["y"]),
            info("y", &["x", "b"]),
            info("z", &["z"]),
        ];
        let closure = Closure::of_all(StoreDir::default(), infos).expect("a closure");
        assert_eq!(closure.roots(), [path("a"), path("x"), path("z")]);
        assert_eq!(closure.len(), 5);
        assert!(Closure::of_all(StoreDir::default(), [info("a", &["b"])]).is_err());
    }

    #[test]
    fn joins_by_path() {
        let left = Closure::new(StoreDir::default(), [path("a")], [info("a", &["b"]), info("b", &[])]);
        let right = Closure::new(StoreDir::default(), [path("c")], [info("c", &["b"]), info("b", &[])]);
        let both = left.and_then(|left| left.join(right?)).expect("a closure");
        assert_eq!(both.len(), 3);
    }
}
