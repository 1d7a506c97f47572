//! The auto-layer planner: splits the closure at its largest paths until the budget is spent.
//!
//! dockerTools' planner of today (nixpkgs `docker/auto-layer.py`, `auto_layer`). Every path carries the
//! set of large paths that it was split off for; paths with equal sets share a layer. All sets are empty
//! at first. The next largest path `P` gets the set `{P}`; each path `D` that `P` needs loses from its set
//! what needs `P`, and gains `P` unless something that `P` needs is still there. The first step that
//! would pass the budget is not taken, and ends the planning.
//!
//! The original leaves two choices to its input and to chance; here, of equally large paths the last by
//! base name goes first, as in a graph that Nix wrote, and layers of equal closure size go by first path.

use std::collections::{BTreeMap, HashSet};

use super::graph::ReferenceGraph;
use super::{PlannedLayer, Rule};

/// The large paths that a path was split off for. Invariant: ascending.
type Split = Vec<usize>;

/// Plans at most `max_layers` layers, by ascending closure size.
pub(super) fn plan(graph: &ReferenceGraph<'_>, max_layers: usize) -> Vec<PlannedLayer> {
    let mut by_size: Vec<usize> = (0..graph.paths.len()).collect();
    by_size.sort_by_key(|path| (graph.nar_size(*path), *path));
    let mut splits: Vec<Split> = vec![Split::new(); graph.paths.len()];
    for large in by_size.into_iter().rev() {
        let next = split_at(graph, large, &splits);
        if next.iter().collect::<HashSet<_>>().len() > max_layers {
            break;
        }
        splits = next;
    }

    let mut groups: BTreeMap<&Split, Vec<usize>> = BTreeMap::new();
    for (path, split) in splits.iter().enumerate() {
        groups.entry(split).or_default().push(path);
    }
    let mut layers: Vec<_> = groups.into_iter().collect();
    layers.sort_by_cached_key(|(_, paths)| (graph.closure_size_of(paths), paths[0]));
    layers.into_iter().map(|(split, paths)| PlannedLayer::new(graph, &paths, rule(graph, split))).collect()
}

/// The splits after one more large path.
fn split_at(graph: &ReferenceGraph<'_>, large: usize, splits: &[Split]) -> Vec<Split> {
    let mut splits = splits.to_vec();
    splits[large] = vec![large];
    let (needs, needed_by) = (&graph.needs[large], &graph.needed_by[large]);
    for dependency in needs.iter().filter(|dependency| *dependency != large) {
        let split = &mut splits[dependency];
        split.retain(|other| *other == large || !needed_by.contains(*other));
        if !split.iter().any(|other| *other != large && needs.contains(*other))
            && let Err(at) = split.binary_search(&large)
        {
            split.insert(at, large);
        }
    }
    splits
}

fn rule(graph: &ReferenceGraph<'_>, split: &Split) -> Rule {
    match split.as_slice() {
        [] => Rule::Remainder,
        [large] => Rule::LargePath { package: graph.package(*large), nar_size: graph.nar_size(*large) },
        several => {
            let mut packages: Vec<String> = several.iter().map(|large| graph.package(*large)).collect();
            packages.sort();
            packages.dedup();
            Rule::SharedBy { packages }
        }
    }
}
