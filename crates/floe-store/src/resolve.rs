//! A path as a person gives it, resolved to the store path that it names.
//!
//! Symlinks are followed one at a time, and only until the path lies in the store: a store path that
//! is a symlink itself stays what it is (Nix `store-api.cc`, `followLinksToStore`). Unlike Nix, a path below a
//! store path is refused, because an image of a file's whole store path is rarely what was meant.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::{ParseStorePathError, StoreDir, StorePath};

/// Symlinks that are followed before a chain is taken for a loop (Linux `MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// Why a path names no store path.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nothing is at the path, or a link on the way points to nothing.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The path, after the links that could be followed.
        path: PathBuf,
    },
    /// The path, or what it links to, lies inside a store path: a closure belongs to whole store paths.
    #[error("{} lies below a store path: expected the store path itself, {store_path}", given.display())]
    BelowStorePath {
        /// The path as it was given.
        given: PathBuf,
        /// The full store path that holds it.
        store_path: String,
    },
    /// The path is there, and is no link into the store.
    #[error("{} is not in the store {store_dir}: expected a store path, its base name, or a link to one", given.display())]
    NotInStore {
        /// The path as it was given.
        given: PathBuf,
        /// The store directory.
        store_dir: StoreDir,
    },
    /// The path is the store directory, or an entry of it that is no store path.
    #[error("{} names no store path", given.display())]
    Malformed {
        /// The path as it was given.
        given: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ParseStorePathError,
    },
    /// The links form a loop, or a chain that nobody makes by hand.
    #[error("{} leads through more than {MOST_LINKS} symlinks", given.display())]
    TooManyLinks {
        /// The path as it was given.
        given: PathBuf,
    },
    /// A part of the path cannot be looked at.
    #[error("cannot look at {}", path.display())]
    Unreadable {
        /// The part.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Resolves a path against a store whose files lie in `physical_store`.
pub(crate) fn resolve(
    given: &Path,
    store_dir: &StoreDir,
    physical_store: &Path,
) -> Result<StorePath, ResolveError> {
    if let Some(path) = given.to_str().and_then(|base_name| base_name.parse().ok()) {
        return Ok(path);
    }
    let absolute = std::path::absolute(given)
        .map_err(|source| ResolveError::Unreadable { path: given.to_owned(), source })?;
    let mut stores = vec![PathBuf::from(store_dir.as_str()), physical_store.to_owned()];
    // A store that cannot be canonicalised is found by its two plain names, or not at all.
    stores.extend(std::fs::canonicalize(physical_store));

    let mut waiting: VecDeque<OsString> = parts(&absolute);
    let mut reached = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = waiting.pop_front() {
        if part == ".." {
            reached.pop();
            continue;
        }
        reached.push(&part);
        let below = stores.iter().find_map(|store| reached.strip_prefix(store).ok());
        if let Some(base_name) = below.filter(|base_name| !base_name.as_os_str().is_empty()) {
            return in_store(given, base_name, waiting.is_empty(), store_dir);
        }
        let Some(target) = link_target(&reached)? else { continue };
        links += 1;
        if links > MOST_LINKS {
            return Err(ResolveError::TooManyLinks { given: given.to_owned() });
        }
        reached.pop();
        if target.is_absolute() {
            reached = PathBuf::from("/");
        }
        for part in parts(&target).into_iter().rev() {
            waiting.push_front(part);
        }
    }
    if stores.contains(&reached) {
        let source = ParseStorePathError::outside(&reached.display().to_string(), store_dir);
        return Err(ResolveError::Malformed { given: given.to_owned(), source });
    }
    Err(ResolveError::NotInStore { given: given.to_owned(), store_dir: store_dir.clone() })
}

fn in_store(
    given: &Path,
    base_name: &Path,
    is_whole: bool,
    store_dir: &StoreDir,
) -> Result<StorePath, ResolveError> {
    let parsed = base_name
        .to_str()
        .ok_or_else(|| ParseStorePathError::not_text(base_name))
        .and_then(|base_name| base_name.parse::<StorePath>());
    match parsed {
        Ok(path) if is_whole => Ok(path),
        Ok(path) => Err(ResolveError::BelowStorePath {
            given: given.to_owned(),
            store_path: store_dir.full_path(&path),
        }),
        Err(source) => Err(ResolveError::Malformed { given: given.to_owned(), source }),
    }
}

/// The parts of a path that move: names and `..`.
fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

fn link_target(path: &Path) -> Result<Option<PathBuf>, ResolveError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => std::fs::read_link(path)
            .map(Some)
            .map_err(|source| ResolveError::Unreadable { path: path.to_owned(), source }),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(ResolveError::Missing { path: path.to_owned() })
        }
        Err(source) => Err(ResolveError::Unreadable { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const APP: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-app";

    /// A root with a store of one path, and links to it from all sides.
    fn stage() -> tempfile::TempDir {
        let stage = tempfile::tempdir().expect("a temporary folder");
        let root = stage.path();
        fs::create_dir_all(root.join("nix/store").join(APP).join("bin")).expect("a store path");
        fs::create_dir(root.join("work")).expect("a folder");
        let logical = Path::new("/nix/store").join(APP);
        let physical = root.join("nix/store").join(APP);
        for (target, link) in [
            (logical.clone(), "logical"),
            (physical, "physical"),
            ("logical".into(), "chain"),
            ("../work".into(), "here"),
            (logical.join("bin/app"), "below"),
            ("loop".into(), "loop"),
            ("nothing".into(), "dangling"),
            ("/nix/store".into(), "store"),
        ] {
            symlink(target, root.join("work").join(link)).expect("a symlink");
        }
        symlink("nix", root.join("alias")).expect("a symlink");
        stage
    }

    #[test]
    fn resolves_what_names_a_store_path() {
        let stage = stage();
        let root = stage.path();
        let work = root.join("work");
        let physical_store = root.join("nix/store");
        for given in [
            APP.into(),
            Path::new("/nix/store").join(APP),
            PathBuf::from(format!("/nix/store/{APP}/")),
            PathBuf::from(format!("/nix/./store/../store/{APP}")),
            physical_store.join(APP),
            root.join("alias/store").join(APP),
            work.join("logical"),
            work.join("physical"),
            work.join("chain"),
            work.join("here/here/chain"),
        ] {
            let path = resolve(&given, &StoreDir::default(), &physical_store);
            assert_eq!(path.expect("a store path").as_str(), APP, "{}", given.display());
        }
    }

    #[test]
    fn says_what_a_path_is_instead() {
        let stage = stage();
        let work = stage.path().join("work");
        for (given, expected) in [
            (work.join("below"), "lies below a store path"),
            (work.join("logical/bin/app"), "lies below a store path"),
            (Path::new("/nix/store").join(APP).join("bin"), "lies below a store path"),
            (work.join("loop"), "more than 40 symlinks"),
            (work.join("dangling"), "nothing does not exist"),
            (work.join("absent"), "absent does not exist"),
            (work.clone(), "is not in the store /nix/store"),
            (work.join("store"), "names no store path"),
            ("/nix/store/not-a-path".into(), "names no store path"),
        ] {
            let error = resolve(&given, &StoreDir::default(), &stage.path().join("nix/store"));
            let message = error.expect_err("no store path").to_string();
            assert!(message.contains(expected), "{}: {message}", given.display());
        }
    }
}
