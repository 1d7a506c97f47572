//! The two numbers that judge a plan: update ratio and sharing.

use std::collections::{BTreeMap, BTreeSet};

use super::histories::History;
use super::planner::{Planned, Planner};
use super::sizes::Sizes;

/// What the updates of one history move.
pub(super) struct Row {
    pub(super) name: String,
    /// How many updates were counted.
    pub(super) steps: usize,
    /// Store paths of the last version.
    pub(super) paths: usize,
    /// Compressed bytes of the store paths that changed, in all updates.
    pub(super) changed: u64,
    /// Compressed bytes that a puller must fetch, by planner; `None` where a planner knew what comes.
    pub(super) moved: Vec<Option<u64>>,
    /// Layers of the last version, by planner.
    pub(super) layers: Vec<usize>,
}

impl Row {
    /// Counts the updates of a history that every planner planned.
    pub(super) fn new(history: &History, plans: &[Vec<Planned>], sizes: &Sizes) -> Self {
        let sum = |plans: &[Planned], step: &dyn Fn(&Planned, &Planned) -> u64| -> u64 {
            plans.windows(2).map(|pair| step(&pair[0], &pair[1])).sum()
        };
        let changed = |before: &Planned, after: &Planned| sizes.of(after.needed.difference(&before.needed));
        let moved = |before: &Planned, after: &Planned| {
            let held: BTreeSet<&BTreeSet<String>> = before.layers.iter().collect();
            after.layers.iter().filter(|layer| !held.contains(layer)).map(|layer| sizes.of(layer)).sum()
        };
        let is_fair = |planner: Planner| planner != Planner::Learned || !history.is_learned;
        let last = |plans: &Vec<Planned>| plans.last().map_or(0, |plan| plan.layers.len());
        Self {
            name: history.name.clone(),
            steps: history.versions.len() - 1,
            paths: plans[0].last().map_or(0, |plan| plan.needed.len()),
            changed: sum(&plans[0], &changed),
            moved: Planner::ALL
                .iter()
                .zip(plans)
                .map(|(planner, plans)| is_fair(*planner).then(|| sum(plans, &moved)))
                .collect(),
            layers: plans.iter().map(last).collect(),
        }
    }

    /// The update ratio, or the bytes moved where nothing changed, of each planner; `None` as in `moved`.
    pub(super) fn figures(&self) -> impl Iterator<Item = Option<Figure>> {
        let figure = |moved: u64| match self.changed {
            0 => Figure::Moved(moved),
            changed => Figure::Ratio(moved as f64 / changed as f64),
        };
        self.moved.iter().map(move |moved| moved.map(figure))
    }
}

/// How a planner did.
pub(super) enum Figure {
    Ratio(f64),
    Moved(u64),
}

/// What the images of a fleet have in common.
pub(super) struct Fleet {
    pub(super) name: String,
    pub(super) budget: usize,
    pub(super) images: usize,
    /// The part of the fleet's bytes that lies in layers of more than one image, by planner.
    pub(super) sharing: Vec<f64>,
    /// The same if each path were a layer.
    pub(super) best: f64,
}

impl Fleet {
    /// Counts the layers of a fleet that every planner planned.
    pub(super) fn new(name: &str, budget: usize, plans: &[Vec<Planned>], sizes: &Sizes) -> Self {
        let sharing = |images: &Vec<Planned>| {
            let layers: Vec<&BTreeSet<String>> = images.iter().flat_map(|image| &image.layers).collect();
            shared(&layers, |layer| sizes.of(*layer))
        };
        let paths: Vec<&String> = plans[0].iter().flat_map(|image| &image.needed).collect();
        Self {
            name: name.to_owned(),
            budget,
            images: plans[0].len(),
            sharing: plans.iter().map(sharing).collect(),
            best: shared(&paths, |path| sizes.of([*path])),
        }
    }
}

/// The part of all bytes that lies in what occurs more than once.
fn shared<T: Ord>(parts: &[T], size: impl Fn(&T) -> u64) -> f64 {
    let mut counts: BTreeMap<&T, u64> = BTreeMap::new();
    for part in parts {
        *counts.entry(part).or_default() += 1;
    }
    let all: u64 = parts.iter().map(&size).sum();
    let shared: u64 =
        counts.into_iter().filter(|(_, count)| *count > 1).map(|(part, count)| size(part) * count).sum();
    shared as f64 / all.max(1) as f64
}
