//! The planner with history: what machines hold of the previous image stays where it is.
//!
//! The previous image's layers come in as lists of store paths with compressed sizes; no blob is looked at.
//!
//! 1. A layer whose paths are all still needed is kept, byte for byte.
//! 2. One with dead paths is kept only when carrying them costs less than sending the rest again: they are
//!    carried for [`HORIZON`] updates, in each of which [`FRESH_PULLERS`] of the machines pull everything.
//! 3. All other paths are new, or freed from a layer that was given up. They get layers of their own, grouped as
//!    [`super::stable`] would group them.
//! 4. While that is more than the budget, the two layers merge whose union is expected to cost least over the
//!    horizon. To merge a kept layer is to send its paths again, which is part of the cost.
//!
//! Kept layers come first, in their order, so that engines that name a layer by all that is below it find as
//! many as possible unchanged.

use floe_store::StorePath;
use serde::Serialize;

use super::causes::APPLICATION_RATE;
use super::group::Group;
use super::merging::{merge_to_fit, merge_while_cheaper};
use super::outlook::Outlook;
use super::{PlannedLayer, Rule, stable};

/// How many updates ahead the planner looks: what is kept or carried now pays or costs for about so long.
const HORIZON: f64 = 20.0;

/// Of the machines that pull an update, the part that has nothing of the image yet.
const FRESH_PULLERS: f64 = 0.2;

/// The compressed size of a byte of NAR, where no layer tells.
const USUAL_RATIO: f64 = 0.35;

/// An image that machines may hold: what its layers are made of, bottom first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Previous {
    /// The layers that hold store paths, bottom first; other layers are left out.
    pub layers: Vec<PreviousLayer>,
}

/// One layer of the previous image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousLayer {
    /// Its store paths, in any order.
    pub paths: Vec<StorePath>,
    /// The size of its blob, in bytes.
    pub compressed_size: u64,
    /// The sum of its paths' NAR sizes, in bytes, where that is known.
    pub nar_size: Option<u64>,
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
    /// Bytes of the blob that are the living paths', and those that are the dead ones'.
    compressed: Shares,
}

#[derive(Clone, Copy)]
struct Shares {
    alive: f64,
    dead: f64,
}

/// Plans at most `max_layers` layers: those that are kept, then new ones by ascending rate of change.
pub(super) fn plan(outlook: &Outlook<'_>, previous: &Previous, max_layers: usize) -> Vec<PlannedLayer> {
    let carries_too_much = |shares: Shares| shares.dead * HORIZON * FRESH_PULLERS >= shares.alive;
    let mut kept = candidates(outlook, previous);
    kept.retain(|layer| layer.kept.carried.is_empty() || !carries_too_much(layer.compressed));
    let mut is_kept = vec![false; outlook.graph.paths.len()];
    for path in kept.iter().flat_map(|layer| &layer.alive) {
        is_kept[*path] = true;
    }

    let loose = outlook.order.iter().filter(|path| !is_kept[**path]).map(|path| Group::new(outlook, *path));
    let new = merge_while_cheaper(loose.collect(), outlook);
    // Groups reckon with the time in which one source changes; what is sent now is sent once in the horizon.
    let once = APPLICATION_RATE / HORIZON;
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
    let ratio = ratio(outlook, previous);
    let mut is_claimed = vec![false; paths.len()];
    let mut candidates = Vec::new();
    for (at, layer) in previous.layers.iter().enumerate() {
        let mut sorted: Vec<&StorePath> = layer.paths.iter().collect();
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
            let compressed = shares(outlook, layer, &alive, ratio);
            candidates.push(Candidate { alive, kept: Kept { layer: at, carried }, compressed });
        }
    }
    candidates
}

/// How the blob's bytes are shared between living and dead paths, as well as can be told without looking at it.
fn shares(outlook: &Outlook<'_>, layer: &PreviousLayer, alive: &[usize], ratio: f64) -> Shares {
    let whole = layer.compressed_size as f64;
    let alive = outlook.graph.nar_size_of(alive.iter().copied()) as f64;
    let alive = match layer.nar_size {
        Some(nar_size) => whole * (alive / (nar_size as f64).max(1.0)).min(1.0),
        None => (alive * ratio).min(whole),
    };
    Shares { alive, dead: whole - alive }
}

/// The compressed size of a byte of NAR in the previous image: that of its layers which are needed whole.
fn ratio(outlook: &Outlook<'_>, previous: &Previous) -> f64 {
    let paths = &outlook.graph.paths;
    let index = |path: &StorePath| paths.binary_search_by(|info| info.path.cmp(path)).ok();
    let (mut compressed, mut nar) = (0.0, 0.0);
    for layer in &previous.layers {
        if let Some(alive) = layer.paths.iter().map(index).collect::<Option<Vec<usize>>>() {
            compressed += layer.compressed_size as f64;
            nar += outlook.graph.nar_size_of(alive) as f64;
        }
    }
    if nar > 0.0 && compressed > 0.0 { compressed / nar } else { USUAL_RATIO }
}
