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
//! It copies every set in every step; here paths share their sets by number, and a step works out once for each
//! set what becomes of it.

use std::collections::{BTreeMap, HashMap};

use super::graph::ReferenceGraph;
use super::{PlannedLayer, Rule};

/// The large paths that a path was split off for. Invariant: ascending.
type Split = Vec<usize>;

/// Plans at most `max_layers` layers, by ascending closure size.
pub(super) fn plan(graph: &ReferenceGraph<'_>, max_layers: usize) -> Vec<PlannedLayer> {
    let mut by_size: Vec<usize> = (0..graph.paths.len()).collect();
    by_size.sort_by_key(|path| (graph.nar_size(*path), *path));
    let mut splits = Splits::new(graph.paths.len());
    for large in by_size.into_iter().rev() {
        let before = splits.split_at(graph, large);
        if splits.in_use > max_layers {
            splits.assign(before);
            break;
        }
    }

    let mut groups: BTreeMap<&Split, Vec<usize>> = BTreeMap::new();
    for (path, number) in splits.of_path.iter().enumerate() {
        groups.entry(&splits.all[*number]).or_default().push(path);
    }
    let mut layers: Vec<_> = groups.into_iter().collect();
    layers.sort_by_cached_key(|(_, paths)| (graph.closure_size_of(paths), paths[0]));
    layers.into_iter().map(|(split, paths)| PlannedLayer::new(graph, &paths, rule(graph, split))).collect()
}

/// Every split there was, by number, and the number of each path's.
struct Splits {
    all: Vec<Split>,
    numbers: HashMap<Split, usize>,
    of_path: Vec<usize>,
    /// How many paths have each split.
    paths: Vec<usize>,
    /// How many splits some path has.
    in_use: usize,
}

impl Splits {
    /// All paths together.
    fn new(paths: usize) -> Self {
        let numbers = HashMap::from([(Split::new(), 0)]);
        Self { all: vec![Split::new()], numbers, of_path: vec![0; paths], paths: vec![paths], in_use: 1 }
    }

    /// Splits at one more large path. Returns what the numbers of the paths that changed were before.
    fn split_at(&mut self, graph: &ReferenceGraph<'_>, large: usize) -> Vec<(usize, usize)> {
        let mut become_of = HashMap::new();
        let mut changed = vec![(large, self.number(vec![large]))];
        for dependency in graph.needs[large].iter().filter(|dependency| *dependency != large) {
            let before = self.of_path[dependency];
            let after = *become_of.entry(before).or_insert_with(|| {
                let split = split_off(graph, large, &self.all[before]);
                self.number(split)
            });
            if after != before {
                changed.push((dependency, after));
            }
        }
        self.assign(changed)
    }

    /// Gives paths other splits; returns those that they had.
    fn assign(&mut self, changed: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
        let assign = |(path, number): (usize, usize)| {
            let before = std::mem::replace(&mut self.of_path[path], number);
            self.paths[before] -= 1;
            self.in_use -= usize::from(self.paths[before] == 0);
            self.in_use += usize::from(self.paths[number] == 0);
            self.paths[number] += 1;
            (path, before)
        };
        changed.into_iter().map(assign).collect()
    }

    fn number(&mut self, split: Split) -> usize {
        let next = self.all.len();
        let number = *self.numbers.entry(split.clone()).or_insert(next);
        if number == next {
            self.all.push(split);
            self.paths.push(0);
        }
        number
    }
}

/// What becomes of the split of a path that `large` needs.
fn split_off(graph: &ReferenceGraph<'_>, large: usize, split: &Split) -> Split {
    let (needs, needed_by) = (&graph.needs[large], &graph.needed_by[large]);
    let mut split = split.clone();
    split.retain(|other| *other == large || !needed_by.contains(*other));
    if !split.iter().any(|other| *other != large && needs.contains(*other))
        && let Err(at) = split.binary_search(&large)
    {
        split.insert(at, large);
    }
    split
}

fn rule(graph: &ReferenceGraph<'_>, split: &Split) -> Rule {
    let package = |large: usize| graph.package(large).to_owned();
    match split.as_slice() {
        [] => Rule::Remainder,
        [large] => Rule::LargePath { package: package(*large), nar_size: graph.nar_size(*large) },
        several => {
            let mut packages: Vec<String> = several.iter().map(|large| package(*large)).collect();
            packages.sort();
            packages.dedup();
            Rule::SharedBy { packages }
        }
    }
}
