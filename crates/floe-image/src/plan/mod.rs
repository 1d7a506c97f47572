//! A plan says which store paths share a layer, and why; it is made from the closure alone, without I/O.
//!
//! A [`Closure`] and a [`Policy`] come in; a [`Plan`] goes out, its layers bottom first. Every path of
//! the closure is in exactly one layer. The same input gives the same plan on every machine.

mod rule;

mod stable;

mod previous;

mod outlook;

mod causes;

mod frequencies;

mod application;

mod group;

mod merging;

mod families;

mod reason;

mod auto_layer;
mod nixery;
mod popularity;

mod graph;
mod index_set;

use std::num::NonZeroUsize;

use floe_store::{Closure, StorePath};
use serde::{Deserialize, Serialize};

use graph::ReferenceGraph;
use outlook::Outlook;

pub use frequencies::{Frequencies, ParseFrequenciesError};
pub use previous::{Kept, Previous};
pub use rule::Rule;

/// How store paths are shared out, and into how many layers at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The strategy.
    pub strategy: Strategy,
    /// The most layers that the plan may have.
    pub max_layers: NonZeroUsize,
    /// How often packages change; [`Strategy::Stable`] alone looks at it.
    pub frequencies: Frequencies,
    /// The image that this one takes the place of; [`Strategy::Stable`] alone looks at it.
    pub previous: Option<Previous>,
}

impl Policy {
    /// A policy that knows nothing of earlier images.
    #[must_use]
    pub fn new(strategy: Strategy, max_layers: NonZeroUsize) -> Self {
        Self { strategy, max_layers, frequencies: Frequencies::default(), previous: None }
    }
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
    /// Nixery's: a layer for each branch of the dominator tree, the least rated merged.
    Nixery,
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
    /// The layer of [`Policy::previous`] that this is, byte for byte; `None` for one that machines must fetch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

/// Shares out the paths of a closure as the policy says.
///
/// Each path is in exactly one layer, and there are at most `policy.max_layers`. An empty closure gives
/// a plan without layers. Where a previous image is named, its layers are kept as far as that pays, and none
/// of them is altered. Pure: the same input gives the same plan on every machine.
#[must_use]
pub fn plan(closure: &Closure, policy: &Policy) -> Plan {
    let graph = ReferenceGraph::new(closure);
    let max_layers = policy.max_layers.get();
    let layers = match policy.strategy {
        Strategy::Stable => {
            let outlook = Outlook::new(closure, &graph, &policy.frequencies);
            match &policy.previous {
                Some(previous) => previous::plan(&outlook, previous, max_layers),
                None => stable::plan(&outlook, max_layers),
            }
        }
        Strategy::AutoLayer => auto_layer::plan(&graph, max_layers),
        Strategy::Popularity => popularity::plan(closure, &graph, max_layers),
        Strategy::Nixery => nixery::plan(closure, &graph, max_layers),
    };
    Plan { strategy: policy.strategy, layers }
}

impl PlannedLayer {
    fn new(graph: &ReferenceGraph<'_>, paths: &[usize], rule: Rule) -> Self {
        let mut paths = paths.to_vec();
        // Indices go by base name.
        paths.sort_unstable();
        let nar_size = graph.nar_size_of(paths.iter().copied());
        let paths = paths.into_iter().map(|path| graph.paths[path].path.clone()).collect();
        Self { paths, nar_size, rule, kept: None }
    }
}

#[cfg(test)]
mod tests;
