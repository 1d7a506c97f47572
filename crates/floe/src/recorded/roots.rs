//! The GC roots of one generation: a folder of links, one for each store path that Nix must keep.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use floe_destination::{Generation, RepositoryName};
use floe_store::gc_root::{self, GcRootError};
use floe_store::{Store, StorePath};

use super::Recorded;
use crate::failure::Outcome;
use crate::places::Places;

/// A folder of links.
#[derive(Clone, Debug)]
pub(crate) struct Roots {
    folder: PathBuf,
}

impl Roots {
    /// The roots of a generation.
    pub(crate) fn of(places: &Places, name: &RepositoryName, number: Generation) -> Self {
        Self::at(folder_of(places, name).join(number.to_string()))
    }

    /// The roots of all generations of a name for which there are any, recorded or not.
    pub(super) fn all_of(places: &Places, name: &RepositoryName) -> io::Result<Vec<Self>> {
        Ok(children(&folder_of(places, name))?.into_iter().map(Self::at).collect())
    }

    /// The links that are there, sorted.
    pub(super) fn links(&self) -> io::Result<Vec<PathBuf>> {
        children(&self.folder)
    }

    /// The path of each link that keeps what an image needs.
    pub(super) fn links_of(&self, recorded: &Recorded) -> impl Iterator<Item = PathBuf> {
        recorded.kept().map(|path| self.folder.join(path.as_str()))
    }

    /// The roots in a folder.
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Keeps what an image needs, and nothing else; returns why some of it cannot be kept.
    pub(super) fn keep(&self, recorded: &Recorded) -> Outcome<Vec<GcRootError>> {
        let store = recorded.store();
        let kept: Vec<&StorePath> = recorded.kept().collect();
        let add = |path: &&StorePath| gc_root::add(&store, &self.folder.join(path.as_str()), path).err();
        let unkept = kept.iter().filter_map(add).collect();
        self.drop_others(&store, &kept)?;
        Ok(unkept)
    }

    /// Removes the links to all but these paths, and what a killed run left beside them.
    pub(super) fn drop_others(&self, store: &Store, kept: &[&StorePath]) -> Outcome {
        for link in self.links()? {
            let name = link.file_name().and_then(|name| name.to_str());
            if !kept.iter().any(|path| Some(path.as_str()) == name) {
                gc_root::remove(store, &link)?;
            }
        }
        Ok(())
    }

    /// Lets Nix collect everything, and removes the folder with those above it that it leaves empty.
    pub(super) fn remove(&self, places: &Places, store: &Store) -> Outcome {
        self.drop_others(store, &[])?;
        let top = places.roots();
        let mut folder = self.folder.clone();
        while folder != top && (!folder.exists() || fs::remove_dir(&folder).is_ok()) {
            folder.pop();
        }
        Ok(())
    }
}

/// The folder of a name's roots. No part of a name begins with `_`.
fn folder_of(places: &Places, name: &RepositoryName) -> PathBuf {
    places.roots().join(name.as_str()).join("_generations")
}

/// What lies in a folder, sorted; nothing when there is none.
pub(super) fn children(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}
