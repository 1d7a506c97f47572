//! The closures that tests share: built once, then found again by their garbage collector roots.
//!
//! A build leaves a record beside its roots: what it was made from, and the store paths. While the recipe is the
//! same and the paths are there, no Nix is run. Building is guarded by a lock file, so the tests of several crates
//! may ask at the same time.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::machine::{
    CacheError, NpmError, ProcessError, cache_directory, hold_lock, nix_command, run_for_output,
};

use super::nix_text::FILES;
use super::node_archives::add_node_archives;
use super::package_set::{PackageSet, PackageSetConfig, PackageSetError};

/// What runs a Node program, with the shell and certificates that images usually hold.
const NODE: [&str; 4] = ["nodejs", "bash", "coreutils", "ca-certificates"];

/// Nix itself, with what its builders and a person at a prompt need.
const NIX: [&str; 4] = ["nix-bin", "bash", "coreutils", "ca-certificates"];

/// A developer's machine: hundreds of store paths and gigabytes, with popular and lonely dependencies.
const DEVELOPER: [&str; 23] = [
    "nodejs",
    "npm",
    "git",
    "python3-pip",
    "gcc",
    "g++",
    "make",
    "vim",
    "postgresql",
    "ffmpeg",
    "imagemagick",
    "openjdk-17-jdk-headless",
    "ruby",
    "golang-go",
    "rustc",
    "curl",
    "jq",
    "htop",
    "python3-numpy",
    "python3-scipy",
    "python3-pandas",
    "bash",
    "coreutils",
];

/// What projects of `floe new` are built from.
const TEMPLATE: [&str; 9] =
    ["bash", "busybox-static", "coreutils", "curl", "findutils", "git", "grep", "jq", "sed"];

/// Packages that tests and examples ask for by nixpkgs' name. Most are only evaluated: what is not built is not fetched.
const NAMED: [&str; 18] = [
    "busybox-static",
    "cargo",
    "dash",
    "findutils",
    "gawk",
    "grep",
    "gzip",
    "hello",
    "netbase",
    "podman",
    "rust-clippy",
    "rustfmt",
    "sed",
    "skopeo",
    "sqlite3",
    "tar",
    "tini",
    "tzdata",
];

/// An error from building a closure.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// The cache directory cannot be used.
    #[error("cannot make a place for closures")]
    Cache {
        /// Why not.
        #[source]
        source: CacheError,
    },
    /// The package set could not be made.
    #[error("cannot make the package set")]
    PackageSet {
        /// Why not.
        #[source]
        source: Box<PackageSetError>,
    },
    /// An archive of the npm registry could not be fetched.
    #[error("cannot fetch Node's archives")]
    Npm {
        /// Why not.
        #[source]
        source: NpmError,
    },
    /// Nix failed.
    #[error("cannot build the closure {name}")]
    Build {
        /// The closure's name.
        name: String,
        /// What Nix said.
        #[source]
        source: ProcessError,
    },
    /// Nix's answer is not the JSON of `nix build --json`.
    #[error("cannot read what nix build --json wrote for the closure {name}: {answer}")]
    Answer {
        /// The closure's name.
        name: String,
        /// What it wrote.
        answer: String,
    },
    /// A file of the record cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A closure that is in the Nix store and stays there while its record does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltClosure {
    /// The store paths that the closure belongs to, in Nix's order; [`BuiltClosure::root`] finds one by name.
    pub roots: Vec<PathBuf>,
    /// The flake that stands in for nixpkgs: `--override-input nixpkgs path:<flake>`.
    pub flake: PathBuf,
}

impl BuiltClosure {
    /// Returns the root whose name, without the version, is `package`.
    #[must_use]
    pub fn root(&self, package: &str) -> Option<&Path> {
        // <store directory>/<32 characters>-<package>-<version>, where the version begins with a digit.
        let is_wanted = |root: &&PathBuf| {
            let name = root.file_name().and_then(|name| name.to_str()).and_then(|name| name.get(33..));
            let version =
                name.and_then(|name| name.strip_prefix(package)).and_then(|rest| rest.strip_prefix('-'));
            version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
        };
        self.roots.iter().find(is_wanted).map(PathBuf::as_path)
    }
}

/// Returns Node, bash, coreutils and certificates: about 30 store paths.
///
/// Downloads about 50 MB and builds for some seconds on the first call; later calls only read a record.
///
/// # Errors
///
/// When Debian's mirror cannot be reached or Nix, patchelf or apt are missing.
pub fn node_closure() -> Result<BuiltClosure, ClosureError> {
    build_closure("node", whole_set(&this_system()), &NODE)
}

/// Returns the same packages for aarch64-linux, from the same flake; this machine need not run them.
///
/// # Errors
///
/// Those of [`node_closure`].
pub fn aarch64_node_closure() -> Result<BuiltClosure, ClosureError> {
    build_closure("node-aarch64", whole_set("aarch64-linux"), &NODE)
}

/// Returns Node 22, with npm for this machine and alone for both systems, from the same flake.
///
/// Downloads about 110 MB on the first call; this machine need not run the other system's.
///
/// # Errors
///
/// Those of [`node_closure`], and when npm is missing or the npm registry cannot be reached.
pub fn node_22() -> Result<BuiltClosure, ClosureError> {
    let flake = node_closure()?.flake;
    aarch64_node_closure()?;
    remember("node-22", recipe(&[]), || {
        add_node_archives()?;
        let of_system =
            |name: &str, system: &str| format!("path:{}#legacyPackages.{system}.{name}", flake.display());
        let arguments = vec![
            of_system("nodejs_22", &this_system()),
            of_system("nodejs-slim_22", "x86_64-linux"),
            of_system("nodejs-slim_22", "aarch64-linux"),
        ];
        Ok((arguments, flake.clone()))
    })
}

/// Returns Nix with bash, coreutils and certificates, as an image that carries Nix has it.
///
/// # Errors
///
/// Those of [`node_closure`].
pub fn nix_closure() -> Result<BuiltClosure, ClosureError> {
    let roots = NIX.map(str::to_owned).into();
    // A set of its own: one more root in the shared set would build every shared closure anew.
    build_closure(
        "nix",
        PackageSetConfig { name: "nix".to_owned(), roots, ..whole_set(&this_system()) },
        &NIX,
    )
}

/// Returns a developer's set of tools: about 800 store paths, 3 GB.
///
/// Downloads about 700 MB and builds for a minute or more on the first call; later calls only read a record.
///
/// # Errors
///
/// Those of [`node_closure`].
pub fn developer_closure() -> Result<BuiltClosure, ClosureError> {
    build_closure("developer", whole_set(&this_system()), &DEVELOPER)
}

/// Returns the packages that `floe new` proposes: shells, servers and tools of a few megabytes each.
///
/// # Errors
///
/// Those of [`node_closure`].
pub fn template_closure() -> Result<BuiltClosure, ClosureError> {
    build_closure("template", whole_set(&this_system()), &TEMPLATE)
}

/// Returns the example in `examples/node-server`, built as its flake says, with the package set for nixpkgs.
///
/// # Errors
///
/// Those of [`node_closure`], and when the example does not build.
pub fn node_server() -> Result<BuiltClosure, ClosureError> {
    let base = node_closure()?;
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/node-server");
    let mut recipe = recipe(&[]);
    for name in ["flake.nix", "package.nix", "server.js"] {
        let path = example.join(name);
        recipe.update(fs::read(&path).map_err(|source| ClosureError::File { path, source })?);
    }
    remember("node-server", recipe, || {
        let example =
            example.canonicalize().map_err(|source| ClosureError::File { path: example, source })?;
        let mut arguments = vec![format!("path:{}", example.display())];
        arguments.extend(["--override-input", "nixpkgs"].map(str::to_owned));
        arguments.push(format!("path:{}", base.flake.display()));
        Ok((arguments, base.flake.clone()))
    })
}

/// Builds `roots`, Debian's package names, from a package set of the caller's choice: another system, or other
/// versions of some packages, as a real update would bring them.
///
/// `name` is the closure's in the cache: another set or other roots need another name. A closure of another
/// system is only repackaged, so this machine need not run its programs.
///
/// # Errors
///
/// Those of [`node_closure`], and when the release does not have the packages.
pub fn build_closure(
    name: &str,
    config: PackageSetConfig,
    roots: &[&str],
) -> Result<BuiltClosure, ClosureError> {
    let mut recipe = recipe(roots);
    recipe.update(&config.system);
    for (package, version) in &config.held {
        recipe.update(format!("{package}={version}\n"));
    }
    let system = config.system.clone();
    remember(name, recipe, || {
        let wrap = |source| ClosureError::PackageSet { source: Box::new(source) };
        let set = PackageSet::prepare(config).map_err(wrap)?;
        set.fetch(roots).map_err(wrap)?;
        let attribute = format!("path:{}#legacyPackages.{system}.debian", set.flake().display());
        let arguments = roots.iter().map(|root| format!("{attribute}.\"{root}\"")).collect();
        Ok((arguments, set.flake().to_owned()))
    })
}

fn this_system() -> String {
    format!("{}-linux", env::consts::ARCH)
}

/// The one set that all shared closures of a system come from, so that they share store paths.
fn whole_set(system: &str) -> PackageSetConfig {
    let mut roots: Vec<String> =
        [NODE.as_slice(), &DEVELOPER, &NAMED].concat().into_iter().map(str::to_owned).collect();
    roots.sort();
    roots.dedup();
    PackageSetConfig {
        name: "nixpkgs".to_owned(),
        system: system.to_owned(),
        roots,
        held: Default::default(),
    }
}

/// A digest of everything that decides what is built, but for Debian's lists, which are fetched once.
fn recipe(roots: &[&str]) -> Sha256 {
    let mut recipe = Sha256::new();
    for part in FILES.iter().flat_map(|(name, text)| [*name, *text]).chain(roots.iter().copied()) {
        recipe.update(part);
        recipe.update([0]);
    }
    recipe
}

/// Returns the closure on record, or else builds what `prepare` says: arguments of `nix build`, and the flake.
fn remember(
    name: &str,
    recipe: Sha256,
    prepare: impl FnOnce() -> Result<(Vec<String>, PathBuf), ClosureError>,
) -> Result<BuiltClosure, ClosureError> {
    let recipe: String = recipe.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let directory = cache_directory("debian/roots").map_err(|source| ClosureError::Cache { source })?;
    let record = directory.join(format!("{name}.json"));
    if let Some(closure) = recorded(&record, &recipe) {
        return Ok(closure);
    }
    let _lock = hold_lock(&directory).map_err(|source| ClosureError::Cache { source })?;
    // Another process may have built it while this one waited.
    if let Some(closure) = recorded(&record, &recipe) {
        return Ok(closure);
    }
    let (arguments, flake) = prepare()?;
    let mut command = nix_command("nix");
    command
        .args(["build", "--json", "--no-write-lock-file", "--out-link"])
        .arg(directory.join(name))
        .args(arguments);
    let answer = run_for_output(&mut command)
        .map_err(|source| ClosureError::Build { name: name.to_owned(), source })?;
    let Some(roots) = outputs(&answer) else {
        return Err(ClosureError::Answer { name: name.to_owned(), answer });
    };
    let text = json!({ "recipe": recipe, "roots": roots, "flake": flake }).to_string();
    fs::write(&record, text).map_err(|source| ClosureError::File { path: record, source })?;
    Ok(BuiltClosure { roots, flake })
}

/// Reads a record; `None` when there is none, it is of another recipe, or the store lost a path.
fn recorded(record: &Path, recipe: &str) -> Option<BuiltClosure> {
    let record: Value = serde_json::from_slice(&fs::read(record).ok()?).ok()?;
    let roots: Vec<PathBuf> =
        record["roots"].as_array()?.iter().filter_map(Value::as_str).map(PathBuf::from).collect();
    let flake = PathBuf::from(record["flake"].as_str()?);
    let valid = record["recipe"] == recipe && flake.is_dir() && roots.iter().all(|root| root.exists());
    valid.then_some(BuiltClosure { roots, flake })
}

/// The `out` paths in the answer of `nix build --json`.
fn outputs(answer: &str) -> Option<Vec<PathBuf>> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    answer.as_array()?.iter().map(|build| Some(PathBuf::from(build["outputs"]["out"].as_str()?))).collect()
}
