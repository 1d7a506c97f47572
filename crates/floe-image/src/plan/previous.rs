//! The planner with history: what machines hold of the previous image stays where it is.
//!
//! The previous image's layers come in as lists of store paths; no blob is looked at.
//!
//! 1. A layer whose paths are all still needed is kept, byte for byte.
//! 2. One with dead paths is kept only when carrying them costs less than sending the rest again: they are
//!    carried for [`HORIZON`] updates, in each of which [`FRESH_PULLERS`] of the machines pull everything. And
//!    only where the store still has them, so that every layer of an image can be packed again.
//! 3. All other paths are new, or freed from a layer that was given up. They get layers of their own, grouped as
//!    [`super::stable`] would group them.
//! 4. While that is more than the budget, the two layers merge whose union is expected to cost least over the next
//!    [`FORESIGHT`] updates. To merge a kept layer is to send its paths again, which is part of the cost.
//!
//! Kept layers come first, in their order, so that engines that name a layer by all that is below it find as
//! many as possible unchanged.

use std::collections::BTreeMap;

use floe_store::{PathInfo, StorePath};
use serde::Serialize;

use super::causes::APPLICATION_RATE;
use super::group::Group;
use super::merging::{merge_to_fit, merge_while_cheaper};
use super::outlook::Outlook;
use super::{PlannedLayer, Rule, stable};

/// How many updates a dead path is carried for, about.
const HORIZON: f64 = 20.0;

/// Of the machines that pull an update, the part that has nothing of the image yet.
const FRESH_PULLERS: f64 = 0.2;

/// How many updates ahead the rates of change count when layers must merge: they are guessed, and what is sent again now is
/// certain.
const FORESIGHT: f64 = 4.0;

/// An image that machines may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Previous {
    /// The store paths of each layer that holds some, in any order; the layers bottom first.
    pub layers: Vec<Vec<StorePath>>,
    /// What the store still has of them beyond the closure: paths that a kept layer may carry.
    pub leftovers: BTreeMap<StorePath, PathInfo>,
}

/// Says of a planned layer that it is one of the previous image's, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The layer's place among [`Previous::layers`], from 0.
    pub layer: usize,
    /// Store paths that it holds although nothing needs them any more. Sorted by base name.
    pub carried: Vec<StorePath>,
}

/// A layer of the previous image that may stay.
struct Candidate {
    /// The closure's paths that it holds. Invariant: ascending, at least one.
    alive: Vec<usize>,
    kept: Kept,
}

/// Plans at most `max_layers` layers: those that are kept, then new ones by ascending rate of change.
pub(super) fn plan(outlook: &Outlook<'_>, previous: &Previous, max_layers: usize) -> Vec<PlannedLayer> {
    let mut kept = candidates(outlook, previous);
    kept.retain(|layer| is_worth_keeping(outlook, previous, layer));
    if kept.is_empty() {
        return stable::plan(outlook, max_layers);
    }
    let mut is_kept = vec![false; outlook.graph.paths.len()];
    for path in kept.iter().flat_map(|layer| &layer.alive) {
        is_kept[*path] = true;
    }

    let loose = outlook.order.iter().filter(|path| !is_kept[**path]).map(|path| Group::new(outlook, *path));
    let new = merge_while_cheaper(loose.collect(), outlook);
    // Groups reckon with the time in which one source changes; what is sent now is sent once in the time foreseen.
    let once = APPLICATION_RATE / FORESIGHT;
    let kept_groups = kept.iter().enumerate().map(|(at, layer)| {
        Group::kept(
            outlook,
            &layer.alive,
            at,
            outlook.graph.nar_size_of(layer.alive.iter().copied()) as f64 * once,
        )
    });
    let groups = merge_to_fit(kept_groups.chain(new).collect(), outlook, max_layers);

    let (stayed, new): (Vec<Group>, Vec<Group>) = groups.into_iter().partition(|group| group.kept.is_some());
    let mut layers: Vec<PlannedLayer> = stayed
        .iter()
        .filter_map(|group| kept.get(group.kept?))
        .map(|layer| kept_layer(outlook, layer))
        .collect();
    layers.extend(stable::layers(outlook, new));
    layers
}

fn kept_layer(outlook: &Outlook<'_>, layer: &Candidate) -> PlannedLayer {
    let rule = Rule::Kept { layer: layer.kept.layer + 1, carried: layer.kept.carried.len() };
    PlannedLayer { kept: Some(layer.kept.clone()), ..PlannedLayer::new(outlook.graph, &layer.alive, rule) }
}

/// The previous image's layers that hold any path of the closure. A path that two layers hold belongs to the lower.
fn candidates(outlook: &Outlook<'_>, previous: &Previous) -> Vec<Candidate> {
    let paths = &outlook.graph.paths;
    let mut is_claimed = vec![false; paths.len()];
    let mut candidates = Vec::new();
    for (at, layer) in previous.layers.iter().enumerate() {
        let mut sorted: Vec<&StorePath> = layer.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let (mut alive, mut carried) = (Vec::new(), Vec::new());
        for path in sorted {
            match paths.binary_search_by(|info| info.path.cmp(path)) {
                Ok(index) if !is_claimed[index] => {
                    is_claimed[index] = true;
                    alive.push(index);
                }
                _ => carried.push(path.clone()),
            }
        }
        if !alive.is_empty() {
            candidates.push(Candidate { alive, kept: Kept { layer: at, carried } });
        }
    }
    candidates
}

/// Whether a layer has no dead paths, or carrying them costs less than sending the others again.
fn is_worth_keeping(outlook: &Outlook<'_>, previous: &Previous, layer: &Candidate) -> bool {
    let nar_size = |path: &StorePath| Some(previous.leftovers.get(path)?.nar_size);
    let Some(dead) = layer.kept.carried.iter().map(nar_size).collect::<Option<Vec<u64>>>() else {
        return false;
    };
    let dead = dead.into_iter().fold(0, u64::saturating_add);
    let alive = outlook.graph.nar_size_of(layer.alive.iter().copied());
    layer.kept.carried.is_empty() || dead as f64 * HORIZON * FRESH_PULLERS < alive as f64
}
