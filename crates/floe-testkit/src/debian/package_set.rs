//! A package set on disk: the flake that stands in for nixpkgs, and the `.deb` files it is built from.
//!
//! In: the names of root packages and versions to hold. Out: a flake directory whose
//! `legacyPackages.<system>` holds every package below the roots under Debian's names and, where they differ,
//! nixpkgs'. The set is the same for the same release lists, wherever the directory is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::machine::{
    AptError, AptRoot, CacheError, ProcessError, Release, cache_directory, nix_command, run,
};

use super::nix_text::FILES;
use super::package_list::{Package, PackageList};
use super::resolution::{ResolutionError, ResolvedPackage, closure_of, resolve};
use super::version::upstream_version;

/// The release that the set is made of: Debian 12, whose packages do not change any more but for security.
const SUITE: &str = "bookworm";

/// How many files one call of `nix-store --add-fixed` gets: the argument list has a limit.
const FILES_A_CALL: usize = 200;

/// An error from making a package set.
#[derive(Debug, thiserror::Error)]
pub enum PackageSetError {
    /// The cache directory cannot be used.
    #[error("cannot make a place for the package set")]
    Cache {
        /// Why not.
        #[source]
        source: CacheError,
    },
    /// apt could not fetch lists or packages.
    #[error("cannot fetch Debian's packages")]
    Apt {
        /// Why not.
        #[source]
        source: AptError,
    },
    /// The packages cannot be chosen.
    #[error("cannot choose packages")]
    Resolution {
        /// Why not.
        #[source]
        source: ResolutionError,
    },
    /// A file of the set cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system is none that Debian and this package set know.
    #[error("unknown system {system}: expected x86_64-linux or aarch64-linux")]
    UnknownSystem {
        /// The system as Nix writes it.
        system: String,
    },
    /// Nix did not take the packages.
    #[error("cannot add packages to the store")]
    Process {
        /// What it said.
        #[source]
        source: ProcessError,
    },
}

/// What a package set is made of.
#[derive(Debug, Clone)]
pub struct PackageSetConfig {
    /// The directory's name in the cache; sets of different contents need different names.
    pub name: String,
    /// The system as Nix writes it, such as `x86_64-linux`.
    pub system: String,
    /// Debian's names of the packages that must be in the set; everything below them is too.
    pub roots: Vec<String>,
    /// Versions to hold, by Debian's package name, where the newest is not wanted.
    pub held: BTreeMap<String, String>,
}

/// A package set whose flake is written.
#[derive(Debug)]
pub struct PackageSet {
    config: PackageSetConfig,
    apt: AptRoot,
    list: PackageList,
    flake: PathBuf,
}

impl PackageSet {
    /// Reads the release's lists, fetching them when they are absent, and writes the flake.
    ///
    /// # Errors
    ///
    /// When the lists cannot be fetched, the packages cannot be chosen, or the flake cannot be written.
    pub fn prepare(config: PackageSetConfig) -> Result<Self, PackageSetError> {
        let cache = |name: &str| cache_directory(name).map_err(|source| PackageSetError::Cache { source });
        let architecture = debian_architecture(&config.system)?;
        let release =
            Release { suite: SUITE.to_owned(), has_updates: true, architecture: architecture.to_owned() };
        let apt = AptRoot::open(&cache(&format!("debian/{SUITE}-{architecture}"))?, release)
            .map_err(|source| PackageSetError::Apt { source })?;
        let lists = apt.package_lists().map_err(|source| PackageSetError::Apt { source })?;
        let texts = lists.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let list = PackageList::parse(texts.iter().map(String::as_str));
        let flake = cache(&format!("debian/flakes/{}", config.name))?;
        let set = Self { config, apt, list, flake };
        let packages = packages_json(&set.resolution()?);
        let directory = cache(&format!("debian/flakes/{}/packages", set.config.name))?;
        write(&directory.join(format!("{}.json", set.config.system)), &packages)?;
        for (name, text) in FILES {
            write(&set.flake.join(name), text)?;
        }
        Ok(set)
    }

    /// Returns the flake's directory.
    #[must_use]
    pub fn flake(&self) -> &Path {
        &self.flake
    }

    /// Downloads the `.deb` files of everything below `roots` and adds them to the Nix store.
    ///
    /// # Errors
    ///
    /// When a package cannot be fetched or added.
    pub fn fetch(&self, roots: &[&str]) -> Result<(), PackageSetError> {
        let resolution = self.resolution()?;
        let packages: Vec<&Package> =
            closure_of(&resolution, roots).into_iter().map(|name| resolution[name].package).collect();
        let wanted: Vec<(&str, &str, &str)> = packages
            .iter()
            .map(|package| (package.name.as_str(), package.version.as_str(), package.architecture.as_str()))
            .collect();
        let files = self.apt.download(&wanted).map_err(|source| PackageSetError::Apt { source })?;
        // A store path's name allows fewer characters than a version, so the files are linked under other names.
        let staging = tempfile::tempdir_in(&self.flake)
            .map_err(|source| PackageSetError::File { path: self.flake.clone(), source })?;
        let mut links = Vec::new();
        for (package, file) in packages.iter().zip(&files) {
            let link = staging.path().join(file_name(package));
            fs::hard_link(file, &link)
                .map_err(|source| PackageSetError::File { path: file.clone(), source })?;
            links.push(link);
        }
        for links in links.chunks(FILES_A_CALL) {
            run(nix_command("nix-store").args(["--add-fixed", "sha256"]).args(links))
                .map_err(|source| PackageSetError::Process { source })?;
        }
        Ok(())
    }

    /// Returns every version of a package that the release's lists have, the newest first.
    pub(super) fn versions(&self, package: &str) -> impl Iterator<Item = &str> {
        self.list.versions(package).iter().map(|package| package.version.as_str())
    }

    pub(super) fn resolution(&self) -> Result<BTreeMap<String, ResolvedPackage<'_>>, PackageSetError> {
        let roots: Vec<&str> = self.config.roots.iter().map(String::as_str).collect();
        resolve(&self.list, &roots, &self.config.held)
            .map_err(|source| PackageSetError::Resolution { source })
    }
}

/// Debian's name for a Nix system.
fn debian_architecture(system: &str) -> Result<&'static str, PackageSetError> {
    match system {
        "x86_64-linux" => Ok("amd64"),
        "aarch64-linux" => Ok("arm64"),
        _ => Err(PackageSetError::UnknownSystem { system: system.to_owned() }),
    }
}

/// What `default.nix` reads: by Debian's name the version, the file, its digest and the dependencies.
fn packages_json(resolution: &BTreeMap<String, ResolvedPackage<'_>>) -> String {
    let foundation = closure_of(resolution, &["libc6"]);
    let mut packages = Map::new();
    for (name, resolved) in resolution {
        let package = json!({
            "version": store_name(upstream_version(&resolved.package.version)),
            "file": file_name(resolved.package),
            "sha256": resolved.package.sha256,
            "dependencies": resolved.dependencies,
            "foundation": foundation.contains(name.as_str()),
        });
        packages.insert(name.clone(), package);
    }
    format!("{:#}\n", Value::Object(packages))
}

fn file_name(package: &Package) -> String {
    store_name(&format!("{}_{}_{}.deb", package.name, package.version, package.architecture))
}

/// Replaces what the name of a store path must not hold (Nix `checkName`).
fn store_name(text: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "+-._?=".contains(character);
    text.chars().map(|character| if allowed(character) { character } else { '-' }).collect()
}

fn read(path: &Path) -> Result<String, PackageSetError> {
    fs::read_to_string(path).map_err(|source| PackageSetError::File { path: path.to_owned(), source })
}

/// Writes a file when its text is another, so that a flake that did not change keeps its time stamps.
fn write(path: &Path, text: &str) -> Result<(), PackageSetError> {
    if fs::read(path).is_ok_and(|present| present == text.as_bytes()) {
        return Ok(());
    }
    fs::write(path, text).map_err(|source| PackageSetError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_names_that_the_store_allows() {
        let check = |text: &str, expected: &str| assert_eq!(store_name(text), expected);
        check("nodejs_18.20.4+dfsg-1~deb12u3_amd64.deb", "nodejs_18.20.4+dfsg-1-deb12u3_amd64.deb");
        check("git_1:2.39.5-0_amd64.deb", "git_1-2.39.5-0_amd64.deb");
    }
}
