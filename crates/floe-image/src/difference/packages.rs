//! Packages that differ: store paths, counted by the package's name as people know it.

use std::collections::{BTreeMap, BTreeSet};

use floe_store::StorePath;
use serde::Serialize;

use crate::image::Image;
use crate::layer::{LayerContents, StoreEntry};

/// What nixpkgs calls the outputs of a package: they stand behind the version, and are no part of it.
const OUTPUTS: [&str; 16] = [
    "bin", "data", "debug", "dev", "devdoc", "dist", "doc", "out", "env", "headers", "info", "lib", "libgcc",
    "man", "py", "static",
];

/// A package that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PackageChange {
    /// The package's name.
    pub name: String,
    /// What the first image has of it; `None` when it was added.
    pub before: Option<PackageVersions>,
    /// What the second image has of it; `None` when it was removed.
    pub after: Option<PackageVersions>,
}

/// What an image has of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PackageVersions {
    /// Its versions, sorted as text, each once; packages without one have the empty version.
    pub versions: BTreeSet<String>,
    /// The sum of its store paths' NARs, in bytes.
    pub nar_size: u64,
}

impl PackageChange {
    /// Whether both images have the same versions, from other inputs or with other bytes.
    #[must_use]
    pub fn is_rebuilt(&self) -> bool {
        matches!((&self.before, &self.after), (Some(before), Some(after)) if before.versions == after.versions)
    }
}

/// The packages that differ. A package counts whole, so that its size before and after can be compared.
pub(super) fn changes(before: &Image, after: &Image) -> Vec<PackageChange> {
    let (before, after) = (packages(before), packages(after));
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let differing = names.into_iter().filter(|name| before.get(name) != after.get(name));
    differing
        .map(|name| PackageChange {
            name: name.to_owned(),
            before: before.get(name).map(versions),
            after: after.get(name).map(versions),
        })
        .collect()
}

/// The store paths of each package. A path is in it once, however often the image holds it.
fn packages(image: &Image) -> BTreeMap<&str, BTreeMap<&StorePath, &StoreEntry>> {
    let mut packages: BTreeMap<&str, BTreeMap<&StorePath, &StoreEntry>> = BTreeMap::new();
    for layer in &image.layers {
        if let LayerContents::StorePaths { paths, .. } = &layer.contents {
            for entry in paths {
                packages.entry(entry.path.package().name).or_default().insert(&entry.path, entry);
            }
        }
    }
    packages
}

fn versions(paths: &BTreeMap<&StorePath, &StoreEntry>) -> PackageVersions {
    PackageVersions {
        versions: paths.keys().map(|path| version(path).to_owned()).collect(),
        nar_size: paths.values().map(|entry| entry.nar_size).sum(),
    }
}

/// The version without the output's name: `3.0.14` of `openssl-3.0.14-bin`.
fn version(path: &StorePath) -> &str {
    let version = path.package().version;
    match version.rsplit_once('-') {
        Some((version, output)) if OUTPUTS.contains(&output) => version,
        _ => version,
    }
}
