//! The record: images by name, as recipes, with the GC roots that keep their store paths.
//!
//! `floe build` writes an entry; `load`, `run`, `export`, `images` and `remove` read it. The libraries know
//! the parts (recipes, documents by name, GC roots); here they are one thing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use floe_destination::{ImageName, ParseImageNameError, Record};
use floe_image::image::Image;
use floe_store::tree::LocalTrees;
use floe_store::{Store, StoreConfig, StoreDir, StorePath, gc_root};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recipe_file::{self, RecipeFile};
use crate::suggestion;
use crate::terminal::Terminal;

/// The form of an entry; a reader accepts no other.
const VERSION: u32 = 1;

/// A recorded image.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Recorded {
    version: u32,
    /// When it was recorded.
    pub(crate) recorded: Timestamp,
    /// The image.
    pub(crate) image: Image,
    /// The store paths that it was asked for.
    pub(crate) roots: Vec<StorePath>,
    /// Plain directories that stand for store paths.
    pub(crate) added: BTreeMap<StorePath, PathBuf>,
    /// The physical root of the store, where that is not `/`.
    pub(crate) store_root: Option<PathBuf>,
    /// The logical store directory.
    pub(crate) store_dir: StoreDir,
}

impl Recorded {
    /// An entry for an image that was just made.
    pub(crate) fn new(
        image: Image,
        roots: Vec<StorePath>,
        added: BTreeMap<StorePath, PathBuf>,
        store: &Store,
    ) -> Self {
        Self {
            version: VERSION,
            recorded: Timestamp::now(),
            image,
            roots,
            added,
            store_root: store.root().map(PathBuf::from),
            store_dir: store.store_dir().clone(),
        }
    }

    /// An entry for an image that a Nix build made: the build has no clock, and gives the image's own time.
    pub(crate) fn of_derivation(image: Image, roots: Vec<StorePath>, store: &Store) -> Self {
        let created = image.config.created.as_deref().and_then(|created| created.parse().ok());
        let recorded = created.unwrap_or(Timestamp::UNIX_EPOCH);
        Self { recorded, ..Self::new(image, roots, BTreeMap::new(), store) }
    }

    /// The store that the image was made from.
    pub(crate) fn store(&self) -> Store {
        Store::new(StoreConfig { root: self.store_root.clone(), store_dir: self.store_dir.clone() })
    }

    /// Where the files of its store paths are.
    pub(crate) fn trees(&self) -> LocalTrees {
        let mut trees = self.store().trees();
        for (path, location) in &self.added {
            trees.add(path.clone(), location.clone());
        }
        trees
    }
}

/// Records an image under a name, in place of the one that had it, and keeps its store paths.
pub(crate) fn put(places: &Places, name: &ImageName, recorded: &Recorded, terminal: &Terminal) -> Outcome {
    let previous = read(places, name).ok();
    record(places).write(name, recorded)?;
    let (store, folder) = (recorded.store(), places.gc_roots(&name.to_string()));
    for path in recorded.roots.iter().filter(|path| !recorded.added.contains_key(*path)) {
        if let Err(error) = gc_root::add(&store, &folder.join(path.as_str()), path) {
            // The image is recorded all the same; it can be loaded until Nix collects its paths.
            terminal.warning(format!(
                "{path} is not kept from Nix's garbage collector: {:#}",
                anyhow::Error::new(error)
            ));
        }
    }
    let dropped =
        previous.iter().flat_map(|previous| &previous.roots).filter(|path| !recorded.roots.contains(path));
    for path in dropped {
        gc_root::remove(&store, &folder.join(path.as_str()))?;
    }
    Ok(())
}

/// Reads the entry of a name.
pub(crate) fn read(places: &Places, name: &ImageName) -> Outcome<Recorded> {
    let recorded: Option<Recorded> =
        record(places).read(name).map_err(|error| Failure::from(error).hint("build the image again"))?;
    let recorded = recorded.ok_or_else(|| unknown(places, name))?;
    if recorded.version != VERSION {
        let message = format!("the record of {name} has version {}: expected {VERSION}", recorded.version);
        return Err(Failure::failed(message).hint("build the image again"));
    }
    Ok(recorded)
}

/// How images are called.
pub(crate) const IMAGE_NAME_HINT: &str =
    "images are called such as app, team/app:1.0 or registry.example.com/team/app:1.0";

/// The image that is meant: the named one, else the only one.
pub(crate) fn select(places: &Places, name: Option<&str>) -> Outcome<ImageName> {
    if let Some(name) = name {
        return name
            .parse()
            .map_err(|error: ParseImageNameError| Failure::usage(error).hint(IMAGE_NAME_HINT));
    }
    let mut names = record(places).list()?;
    match (names.pop(), names.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(Failure::bad_usage("no image is recorded").hint("make one: floe build ./result")),
        (Some(last), false) => {
            names.push(last);
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let failure =
                Failure::bad_usage(format!("{} images are recorded: expected the name of one", names.len()));
            Err(failure.hint(format!("name one of: {}", names.join(", "))))
        }
    }
}

/// The image that a word stands for: a recorded name, or the path of a recipe file; without a word, the only one.
pub(crate) fn find(places: &Places, word: Option<&str>) -> Outcome<(ImageName, Recorded)> {
    if let Some(path) = word.and_then(recipe_file::path_of_word) {
        let RecipeFile { name, recorded, .. } = recipe_file::read(&path)?;
        return Ok((name, recorded));
    }
    let name = select(places, word)?;
    let recorded = read(places, &name)?;
    Ok((name, recorded))
}

/// Every recorded name, sorted.
pub(crate) fn list(places: &Places) -> Outcome<Vec<ImageName>> {
    Ok(record(places).list()?)
}

/// Forgets an image and lets Nix collect its store paths.
pub(crate) fn remove(places: &Places, name: &ImageName) -> Outcome {
    let recorded = read(places, name);
    if !record(places).remove(name)? {
        return Err(unknown(places, name));
    }
    // An entry that cannot be read is removed all the same; its roots are then found by their folder.
    let store = recorded.map_or_else(|_| Store::new(StoreConfig::default()), |recorded| recorded.store());
    let folder = places.gc_roots(&name.to_string());
    if let Ok(links) = std::fs::read_dir(&folder) {
        for link in links {
            gc_root::remove(&store, &link?.path())?;
        }
        std::fs::remove_dir(&folder)?;
    }
    Ok(())
}

fn record(places: &Places) -> Record {
    Record::new(&places.images())
}

/// The failure of a name that is not recorded, with the nearest one that is.
pub(crate) fn unknown(places: &Places, name: &ImageName) -> Failure {
    let failure = Failure::failed(format!("no image '{name}' is recorded"));
    let names: Vec<String> =
        record(places).list().unwrap_or_default().iter().map(ToString::to_string).collect();
    match suggestion::nearest(&name.to_string(), names.iter().map(String::as_str)) {
        Some(nearest) => failure.hint(format!("did you mean '{nearest}'?")),
        None if names.is_empty() => failure.hint("nothing is recorded yet: floe build ./result"),
        None => failure.hint(format!("recorded are: {}", names.join(", "))),
    }
}
