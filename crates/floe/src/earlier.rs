//! What earlier images say of their layers, and what was learned of how often packages change.
//!
//! An image's name comes in, as the user wrote it; what goes out is lists of store paths, layer by layer. Blobs are
//! never read for it: a recipe, a manifest or a written plan is enough.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use floe_destination::{Documents, ImageName, SourceName};
use floe_image::image::{PreviousImage, PreviousImages};
use floe_image::oci::Platform;
use floe_image::plan::{Frequencies, Previous};
use floe_store::{PathInfo, Store, StorePath};
use serde::Deserialize;

use crate::arguments::PreviousName;
use crate::failure::{Failure, Outcome};
use crate::gather::Gathered;
use crate::places::Places;
use crate::recorded;
use crate::transports::Transports;

/// Bytes of a plan or of frequencies at most: far more than any real one.
const LARGEST_FILE: u64 = 64_000_000;

/// Where earlier images are looked for.
pub(crate) struct Earlier<'a> {
    /// Every place that they may be in.
    pub(crate) transports: &'a Transports<'a>,
    /// floe's folders.
    pub(crate) places: &'a Places,
    /// The image that is planned now.
    pub(crate) name: &'a ImageName,
    /// The platform that is wanted of an image of several.
    pub(crate) platform: Platform,
}

impl Earlier<'_> {
    /// The image that is named, for each platform that it is recorded for; of a written plan no blobs are known.
    ///
    /// # Errors
    /// When there is no such image, or it cannot be read.
    pub(crate) fn images(&self, name: &PreviousName) -> Outcome<Vec<PreviousImage>> {
        match name {
            PreviousName::Recorded => self.recorded(self.name),
            PreviousName::Source(SourceName::Recorded(name)) => self.recorded(name),
            PreviousName::Source(name) => Ok(vec![self.source(name)?]),
            PreviousName::File(file) => Ok(vec![plan(file)?]),
        }
    }

    /// The recorded image that this one will replace; nothing for the first of its name.
    pub(crate) fn replaced(&self) -> Vec<PreviousImage> {
        // An entry that cannot be read says nothing; who names it is told so.
        self.recorded(self.name).unwrap_or_default()
    }

    fn recorded(&self, name: &impl ToString) -> Outcome<Vec<PreviousImage>> {
        let (_, recorded) = recorded::find(self.places, Some(&name.to_string()))?;
        let mut images = PreviousImages::default();
        recorded.images().for_each(|image| images.add_recipe(image));
        Ok(images.images().to_vec())
    }

    fn source(&self, name: &SourceName) -> Outcome<PreviousImage> {
        let source = self.transports.source(name)?;
        let documents = Documents::read(&*source, source.root(), &self.platform)
            .map_err(|error| self.transports.explain_documents(error))?;
        let mut images = PreviousImages::default();
        images.add(&documents.manifest, &documents.config);
        let image = images.images().first().cloned().unwrap_or_default();
        if image.store_paths.is_empty() {
            let failure = Failure::failed(format!("{name} does not say which store paths its layers hold"));
            return Err(failure.hint("floe's own images do; --no-previous plans without an earlier image"));
        }
        Ok(image)
    }
}

/// What the planner is told: of several images, the one that has most in common with the closure, since an index names
/// one for each platform; its layers, and what the store still has of dead paths.
pub(crate) fn previous(images: &[PreviousImage], gathered: &Gathered, store: &Store) -> Option<Previous> {
    let shared = |image: &&PreviousImage| -> u64 {
        let shared = image.store_paths.iter().flatten().filter_map(|path| gathered.closure.info(path));
        shared.map(|info| info.nar_size).sum()
    };
    // Of equally near ones the first: it is the one that the tag itself names.
    let image = images.iter().rev().max_by_key(shared)?;
    let mut leftovers = BTreeMap::new();
    for layer in &image.store_paths {
        let (alive, dead): (Vec<&StorePath>, Vec<&StorePath>) =
            layer.iter().partition(|path| gathered.closure.info(path).is_some());
        if !alive.is_empty() && !dead.is_empty() {
            leftovers.extend(valid(&dead, store).into_iter().map(|info| (info.path.clone(), info)));
        }
    }
    Some(Previous { layers: image.store_paths.clone(), leftovers })
}

/// What the store knows of paths; nothing where it lost one of them, since a layer is carried whole or not at all.
fn valid(paths: &[&StorePath], store: &Store) -> Vec<PathInfo> {
    let roots: Vec<StorePath> = paths.iter().map(|path| (*path).clone()).collect();
    let Ok(closure) = store.closure(&roots) else { return Vec::new() };
    roots.iter().filter_map(|path| closure.info(path).cloned()).collect()
}

/// A plan as `floe plan --json` writes it, as far as its layers go.
#[derive(Deserialize)]
struct WrittenPlan {
    layers: Vec<WrittenLayer>,
}

#[derive(Deserialize)]
struct WrittenLayer {
    paths: Vec<StorePath>,
    kept: Option<WrittenKept>,
}

#[derive(Deserialize)]
struct WrittenKept {
    carried: Vec<StorePath>,
}

fn plan(file: &Path) -> Outcome<PreviousImage> {
    let plan: WrittenPlan = serde_json::from_str(&read(file)?).map_err(|error| {
        Failure::failed(format!("{} is no plan: {error}", file.display()))
            .hint("write one with: floe plan --json")
    })?;
    let paths = |layer: WrittenLayer| {
        layer.paths.into_iter().chain(layer.kept.into_iter().flat_map(|kept| kept.carried)).collect()
    };
    let store_paths = plan.layers.into_iter().map(paths).collect();
    Ok(PreviousImage { store_paths, ..PreviousImage::default() })
}

/// Reads what was learned of how often packages change.
pub(crate) fn frequencies(file: &Path) -> Outcome<Frequencies> {
    read(file)?.parse().map_err(|error| {
        Failure::from(anyhow::Error::new(error).context(format!("{} holds no frequencies", file.display())))
            .hint("write it with: floe plan --learn FILE IMAGE...")
    })
}

/// Learns from images, oldest first.
pub(crate) fn learn(earlier: &Earlier<'_>, names: &[PreviousName]) -> Outcome<Frequencies> {
    let version = |name: &PreviousName| -> Outcome<BTreeSet<StorePath>> {
        Ok(earlier.images(name)?.into_iter().flat_map(|image| image.store_paths).flatten().collect())
    };
    Ok(Frequencies::learn(&names.iter().map(version).collect::<Outcome<Vec<_>>>()?))
}

fn read(file: &Path) -> Outcome<String> {
    let cannot =
        |error| Failure::from(anyhow::Error::new(error).context(format!("cannot read {}", file.display())));
    let mut text = String::new();
    File::open(file).and_then(|open| open.take(LARGEST_FILE).read_to_string(&mut text)).map_err(cannot)?;
    Ok(text)
}
