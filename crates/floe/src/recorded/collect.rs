//! Garbage of the record: GC roots that no recorded image needs, and documents that no history names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use floe_destination::{BlobCache, LockedRecord, Stray};
use floe_store::{Store, StoreConfig, StorePath, gc_root};

use super::Roots;
use super::find::{history, read};
use super::roots::children;
use crate::failure::Outcome;
use crate::places::Places;

/// What is left over.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    /// Links below the folder of roots that keep store paths for nobody.
    pub(crate) roots: Vec<PathBuf>,
    /// The bytes of store paths that only those links keep, as far as floe knows.
    pub(crate) store_size: u64,
    /// Documents, and what killed runs were writing.
    pub(crate) strays: Vec<Stray>,
    /// Layers of bases that were kept for images which are not recorded any more.
    pub(crate) layers: Vec<Stray>,
}

/// A layer is kept before the image that needs it is recorded: younger ones may belong to a build under way.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// Looks for garbage while nobody writes the record. Nothing that a history names is garbage, readable or not.
pub(crate) fn garbage(places: &Places, record: &LockedRecord) -> Outcome<Garbage> {
    let mut needed: BTreeSet<PathBuf> = BTreeSet::new();
    let mut held: BTreeSet<StorePath> = BTreeSet::new();
    // Unknown as soon as one recipe cannot be read.
    let mut layers: Option<BTreeSet<String>> = Some(BTreeSet::new());
    for name in record.names()? {
        for (number, _) in history(record, &name)?.generations() {
            let roots = Roots::of(places, &name, number);
            match read(record, &name, number) {
                Ok(recorded) => {
                    needed.extend(roots.links_of(&recorded));
                    held.extend(recorded.store_paths().map(|(path, _)| path.clone()));
                    if let Some(layers) = &mut layers {
                        layers.extend(recorded.kept_layers().map(|digest| digest.hex()));
                    }
                }
                // Building the image again mends a recipe; until then its store paths stay.
                Err(_) => {
                    needed.extend(roots.links()?);
                    layers = None;
                }
            }
        }
    }
    let mut roots = Vec::new();
    collect_links(&places.roots(), &mut roots)?;
    roots.retain(|link| !needed.contains(link));
    let store_size = released(&roots, &held);
    let layers = layers.map_or_else(|| Ok(Vec::new()), |named| unnamed_layers(places, &named))?;
    Ok(Garbage { roots, store_size, strays: record.strays()?, layers })
}

/// The kept layers that are not named, and old enough that no build under way is about to name them.
fn unnamed_layers(places: &Places, named: &BTreeSet<String>) -> Outcome<Vec<Stray>> {
    let since = SystemTime::now() - GRACE;
    let mut layers = BlobCache::excess(&places.kept_layers(), 0)?;
    layers.retain(|layer| {
        let name = layer.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // One that vanished or cannot be looked at is left alone.
        let used = fs::metadata(&layer.path).and_then(|metadata| metadata.modified());
        !named.contains(name) && used.is_ok_and(|used| used < since)
    });
    Ok(layers)
}

impl Garbage {
    /// Removes it, and the folders that it leaves empty.
    pub(crate) fn remove(&self, places: &Places) -> Outcome {
        let store = Store::new(StoreConfig::default());
        for link in &self.roots {
            gc_root::remove(&store, link)?;
        }
        remove_empty_folders(&places.roots())?;
        for stray in self.strays.iter().chain(&self.layers) {
            stray.remove()?;
        }
        Ok(())
    }
}

/// Every link below a folder.
fn collect_links(folder: &Path, links: &mut Vec<PathBuf>) -> Outcome {
    for path in children(folder)? {
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            collect_links(&path, links)?;
        } else if kind.is_symlink() {
            links.push(path);
        }
    }
    Ok(())
}

/// Removes the folders below a folder in which there is nothing.
fn remove_empty_folders(folder: &Path) -> Outcome {
    for path in children(folder)? {
        if fs::symlink_metadata(&path)?.is_dir() {
            remove_empty_folders(&path)?;
            // One that holds something stays.
            fs::remove_dir(&path).ok();
        }
    }
    Ok(())
}

/// The bytes of the closures that links keep and no recorded image holds; a closure that cannot be read counts nothing.
fn released(links: &[PathBuf], held: &BTreeSet<StorePath>) -> u64 {
    let store = Store::new(StoreConfig::default());
    let targets =
        links.iter().filter_map(|link| store.store_dir().parse(fs::read_link(link).ok()?.to_str()?).ok());
    let mut released = BTreeMap::new();
    for target in targets {
        if let Ok(closure) = store.closure(&[target]) {
            released.extend(closure.paths().map(|info| (info.path.clone(), info.nar_size)));
        }
    }
    released.iter().filter(|(path, _)| !held.contains(*path)).map(|(_, size)| size).sum()
}
