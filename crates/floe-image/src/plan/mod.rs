//! A plan says which store paths share a layer, and why; it is made from the closure alone, without I/O.
//!
//! A [`Closure`] and a [`Policy`] come in; a [`Plan`] goes out, its layers bottom first. Every path of
//! the closure is in exactly one layer. The same closure gives the same plan on every machine.

use std::num::NonZeroUsize;

use floe_store::{Closure, StorePath};
use serde::{Deserialize, Serialize};

/// How store paths are shared out, and into how many layers at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The strategy.
    pub strategy: Strategy,
    /// The most layers that the plan may have.
    pub max_layers: NonZeroUsize,
}

/// The ways to share out store paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// floe's own: groups what changes together, so that an update sends little.
    #[default]
    Stable,
    /// dockerTools' of today: splits at the largest paths.
    AutoLayer,
    /// dockerTools' before 2025: a layer for each of the most used paths, the rest in the last.
    Popularity,
}

/// Which store paths share a layer, bottom first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The strategy that made the plan.
    pub strategy: Strategy,
    /// The layers, bottom first. Invariant: each path of the closure is in exactly one.
    pub layers: Vec<PlannedLayer>,
}

/// One layer of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedLayer {
    /// The store paths. Invariant: sorted by base name, at least one.
    pub paths: Vec<StorePath>,
    /// The sum of the paths' NAR sizes, in bytes.
    pub nar_size: u64,
    /// Why these paths share this layer.
    pub rule: Rule,
}

/// Why paths share a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Rule {
    /// A path that the image was asked for: it changes with every build of the application.
    Application,
    /// Paths that were grouped since they change together.
    ChangesTogether,
    /// One path alone.
    Alone,
    /// What was left when the budget was spent.
    Remainder,
}
