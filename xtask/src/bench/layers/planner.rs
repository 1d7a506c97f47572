//! The planners that are compared, each run as `floe plan`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use floe_testkit::machine;
use serde_json::Value;

use super::histories::History;
use crate::steps::{cargo, workspace};

/// The most layers of an image whose updates are counted.
pub(super) const BUDGET: usize = 100;

/// A way of sharing out store paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planner {
    Popularity,
    AutoLayer,
    Nixery,
    Stable,
    Learned,
    Previous,
}

impl Planner {
    pub(super) const ALL: [Self; 6] =
        [Self::Popularity, Self::AutoLayer, Self::Nixery, Self::Stable, Self::Learned, Self::Previous];

    /// What the table calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Popularity => "popularity",
            Self::AutoLayer => "auto-layer",
            Self::Nixery => "nixery",
            Self::Stable => "stable",
            Self::Learned => "stable, learned",
            Self::Previous => "previous",
        }
    }

    fn strategy(self) -> &'static str {
        match self {
            Self::Stable | Self::Learned | Self::Previous => "stable",
            other => other.name(),
        }
    }
}

/// The layers of an image, bottom first: base names of store paths, dead ones that are carried included.
pub(super) struct Planned {
    pub(super) layers: Vec<BTreeSet<String>>,
    /// What the image needs: the layers' paths without those that are carried.
    pub(super) needed: BTreeSet<String>,
}

/// Plans with the release build of floe.
pub(super) struct Planning {
    floe: PathBuf,
    folder: tempfile::TempDir,
}

impl Planning {
    pub(super) fn new(floe: PathBuf) -> Result<Self> {
        Ok(Self { floe, folder: tempfile::tempdir().context("cannot make a directory")? })
    }

    /// Learns how often packages change from the versions of an image; returns the file.
    pub(super) fn learn(&self, history: &History) -> Result<PathBuf> {
        let file = self.path("frequencies");
        let mut command = self.floe(&["plan", "--learn"]);
        command.arg(&file);
        for (number, roots) in history.versions.iter().enumerate() {
            let plan = self.path(&format!("learned-{number}.json"));
            self.plan(Planner::Stable, roots, BUDGET, None, Path::new(""), &plan)?;
            command.arg(plan);
        }
        machine::run_for_output(&mut command)?;
        Ok(file)
    }

    /// Plans images one after the other. With history, the first is planned without, and each other one keeps what it can
    /// of the one before it.
    pub(super) fn chain(
        &self,
        planner: Planner,
        images: &[Vec<PathBuf>],
        budget: usize,
        learned: &Path,
    ) -> Result<Vec<Planned>> {
        let mut before: Option<PathBuf> = None;
        let mut planned = Vec::new();
        for (number, roots) in images.iter().enumerate() {
            let file = self.path(&format!("plan-{}.json", number % 2));
            planned.push(self.plan(planner, roots, budget, before.as_deref(), learned, &file)?);
            before = Some(file);
        }
        Ok(planned)
    }

    fn plan(
        &self,
        planner: Planner,
        roots: &[PathBuf],
        budget: usize,
        before: Option<&Path>,
        learned: &Path,
        file: &Path,
    ) -> Result<Planned> {
        let mut command = self.floe(&["plan", "--json", "--layering", planner.strategy(), "--max-layers"]);
        command.arg(budget.to_string());
        match before.filter(|_| planner == Planner::Previous) {
            Some(before) => command.arg("--previous").arg(before),
            None => command.arg("--no-previous"),
        };
        if planner == Planner::Learned {
            command.arg("--frequencies").arg(learned);
        }
        let text = machine::run_for_output(command.args(roots))?;
        fs::write(file, &text).with_context(|| format!("cannot write {}", file.display()))?;
        read(&text).with_context(|| format!("floe plan wrote no plan: {text}"))
    }

    fn floe(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.floe);
        command.args(words);
        command.env("XDG_CACHE_HOME", self.path("cache")).env("XDG_DATA_HOME", self.path("data"));
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn read(text: &str) -> Option<Planned> {
    let plan: Value = serde_json::from_str(text).ok()?;
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (mut layers, mut needed) = (Vec::new(), BTreeSet::new());
    for layer in plan["layers"].as_array()? {
        let mut paths = names(&layer["paths"]);
        needed.extend(paths.iter().cloned());
        paths.extend(names(&layer["kept"]["carried"]));
        layers.push(paths);
    }
    Some(Planned { layers, needed })
}

/// Times the planners on 5,000 paths; returns the lines that `benches/plan.rs` of `floe-image` prints.
pub(super) fn speed() -> Result<String> {
    let output = cargo(["bench", "--package", "floe-image", "--bench", "plan", "--locked", "--quiet"])
        .current_dir(workspace())
        .output()
        .context("cannot start cargo bench")?;
    if !output.status.success() {
        bail!("cargo bench failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
