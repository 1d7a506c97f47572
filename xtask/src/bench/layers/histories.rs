//! What is planned: versions of images as they follow each other, and a fleet of images side by side.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use floe_testkit::debian::{self, BuiltClosure, PackageSetConfig, Update};
use floe_testkit::machine;

use crate::steps::workspace;

/// What a server is made of: some 200 store paths, twice as many as there are layers.
const SERVER: [&str; 10] = [
    "nodejs",
    "git",
    "curl",
    "python3",
    "postgresql",
    "imagemagick",
    "jq",
    "bash",
    "coreutils",
    "ca-certificates",
];

/// How many versions the long history has.
const VERSIONS: usize = 20;

/// What a fleet's images are for, beside a shell.
const PURPOSES: [&[&str]; 14] = [
    &["nodejs"],
    &["nodejs", "npm"],
    &["git"],
    &["python3-pip"],
    &["python3-numpy", "python3-scipy", "python3-pandas"],
    &["gcc", "g++", "make"],
    &["vim", "git", "htop"],
    &["postgresql"],
    &["ffmpeg"],
    &["imagemagick"],
    &["openjdk-17-jdk-headless"],
    &["ruby"],
    &["golang-go", "git"],
    &["rustc", "curl", "jq"],
];

/// What every image of the second fleet holds.
const WORKSTATION: [&str; 7] = ["git", "vim", "python3-pip", "curl", "gcc", "make", "postgresql"];

/// Versions of one image, oldest first, each by its root store paths.
pub(super) struct History {
    pub(super) name: String,
    pub(super) versions: Vec<Vec<PathBuf>>,
    /// Whether the versions that frequencies are learned from are among these: then learning would be cheating.
    pub(super) is_learned: bool,
}

/// Everything that is planned.
pub(super) struct Histories {
    pub(super) updates: Vec<History>,
    /// Each fleet by its name: the roots of its images.
    pub(super) fleets: Vec<(&'static str, Vec<Vec<PathBuf>>)>,
    /// The versions that frequencies are learned from.
    pub(super) learned: History,
}

impl Histories {
    pub(super) fn build(developer: &BuiltClosure) -> Result<Self> {
        let versions = twenty_versions()?;
        let without = |name: &str| -> Result<Vec<PathBuf>> {
            let gone = root(developer, name)?;
            Ok(developer.roots.iter().filter(|root| **root != gone).cloned().collect())
        };
        let edited = |number: usize| edited_server(&developer.flake, number);
        let with = |application: PathBuf, roots: &[PathBuf]| [&[application], roots].concat();
        let small = vec![vec![edited(0)?], vec![edited(1)?]];
        let large = vec![with(edited(0)?, &developer.roots), with(edited(1)?, &developer.roots)];
        let half = VERSIONS / 2;
        let history = |name: &str, versions| History { name: name.to_owned(), versions, is_learned: false };
        let updates = vec![
            history("application edit, small image", small),
            history("application edit, developer's image", large),
            history("library's security update (openssl)", library_update()?),
            history("package added (ffmpeg)", vec![without("ffmpeg")?, developer.roots.clone()]),
            history("package added (rustc)", vec![without("rustc")?, developer.roots.clone()]),
            history("package added (ruby)", vec![without("ruby")?, developer.roots.clone()]),
            history("package removed (ruby)", vec![developer.roots.clone(), without("ruby")?]),
            history("package removed (imagemagick)", vec![developer.roots.clone(), without("imagemagick")?]),
            History { is_learned: true, ..history("twenty versions", versions.clone()) },
            history("the last ten of them", versions[half..].to_vec()),
        ];
        let services = fleet(developer, &[])?;
        let fleets = vec![("services", services), ("workstations", fleet(developer, &WORKSTATION)?)];
        Ok(Self { updates, fleets, learned: history("learned", versions[..=half].to_vec()) })
    }
}

/// Images for each purpose, with `common` and a shell.
fn fleet(developer: &BuiltClosure, common: &[&str]) -> Result<Vec<Vec<PathBuf>>> {
    let image = |purpose: &&[&str]| -> Result<Vec<PathBuf>> {
        let names = [*purpose, common, &["bash", "coreutils"]].concat();
        names.into_iter().map(|name| root(developer, name)).collect()
    };
    PURPOSES.iter().map(image).collect()
}

fn root(closure: &BuiltClosure, name: &str) -> Result<PathBuf> {
    closure.root(name).map(Path::to_owned).with_context(|| format!("the closure has no root {name}"))
}

/// A server before and after openssl's security updates, with everything above it rebuilt.
fn library_update() -> Result<Vec<Vec<PathBuf>>> {
    let updates = debian::updates(server_set("layers-updates", BTreeMap::new()))?;
    let before =
        updates.into_iter().filter(|update| update.source == "openssl").flat_map(|update| update.before);
    let old =
        debian::build_closure("layers-openssl", server_set("layers-openssl", before.collect()), &SERVER)?;
    let new = debian::build_closure("layers-server", server_set("layers-server", BTreeMap::new()), &SERVER)?;
    Ok(vec![old.roots, new.roots])
}

/// A server with its application, from the release as it came out to today: an edit of the application in each step,
/// and in most of them one source package's updates.
fn twenty_versions() -> Result<Vec<Vec<PathBuf>>> {
    let mut updates = debian::updates(server_set("layers-updates", BTreeMap::new()))?;
    // glibc last: it rebuilds everything, after which all planners are alike.
    updates.sort_by_key(|update| (update.source == "glibc", spread(&update.source)));
    updates.truncate(VERSIONS);
    let version = |number: usize| -> Result<Vec<PathBuf>> {
        let held = updates.iter().skip(number).flat_map(|update: &Update| update.before.clone()).collect();
        let name = format!("layers-version-{number}");
        let server = debian::build_closure(&name, server_set(&name, held), &SERVER)?;
        Ok([vec![edited_server(&server.flake, number)?], server.roots].concat())
    };
    (0..=VERSIONS).map(version).collect()
}

/// Puts names into an order that is nobody's: that of a hash (FNV-1a).
fn spread(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn server_set(name: &str, held: BTreeMap<String, String>) -> PackageSetConfig {
    PackageSetConfig {
        name: name.to_owned(),
        system: format!("{}-linux", env::consts::ARCH),
        roots: SERVER.map(str::to_owned).to_vec(),
        held,
    }
}

/// The example in `examples/node-server` with one line edited, built with a package set's Node.
fn edited_server(flake: &Path, number: usize) -> Result<PathBuf> {
    let example = workspace().join("examples/node-server");
    let edited = tempfile::tempdir().context("cannot make a directory")?;
    for name in ["flake.nix", "package.nix", "server.js"] {
        let mut text =
            fs::read_to_string(example.join(name)).with_context(|| format!("cannot read {name}"))?;
        if name == "server.js" {
            text.push_str(&format!("// Edit {number}.\n"));
        }
        fs::write(edited.path().join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    let output = machine::run_for_output(
        machine::nix_command("nix")
            .args(["build", "--no-write-lock-file", "--no-link", "--json", "--override-input", "nixpkgs"])
            .arg(format!("path:{}", flake.display()))
            .arg(format!("path:{}", edited.path().display())),
    )?;
    let built: serde_json::Value = serde_json::from_str(&output).context("nix build wrote no JSON")?;
    let path = built[0]["outputs"]["out"].as_str();
    path.map(PathBuf::from).with_context(|| format!("nix build wrote no output: {output}"))
}
