//! Nixery's planner: a layer for each branch of the dominator tree, the least rated merged first.
//!
//! Nixery `layers/layers.go`, `GroupLayers`. A virtual root refers to the packages asked for and to every path
//! whose closure is large or that is popular. Each child of the root in the dominator tree is a layer, with all
//! that it dominates. A layer is rated by the popularity of its top times the closure sizes of all of its paths;
//! the two lowest merge until the budget holds, the union staying lowest.
//!
//! Nixery takes popularity from a count over all of nixpkgs, which a closure does not have: here it is how many
//! of the closure's paths refer to a path, at least 1. It leaves ties to chance: here they go by base name.

use floe_store::Closure;

use super::graph::ReferenceGraph;
use super::{PlannedLayer, Rule};

/// A closure above this size, in bytes, gets a layer.
const LARGE: u64 = 100_000_000;

/// So many users get a path a layer.
const POPULAR: usize = 100;

/// What Nixery puts into each of its images, which counts as more popular than anything else.
const EVERYWHERE: [&str; 2] = ["nss-cacert", "iana-etc"];

/// The popularity of these.
const MOST_POPULAR: usize = 500_000;

/// A layer while it is merged.
struct Branch {
    /// The top of the branch; `None` once branches have merged.
    top: Option<usize>,
    paths: Vec<usize>,
    rating: u128,
}

/// Plans at most `max_layers` layers, by ascending rating.
pub(super) fn plan(closure: &Closure, graph: &ReferenceGraph<'_>, max_layers: usize) -> Vec<PlannedLayer> {
    let closure_sizes: Vec<u64> = graph.needs.iter().map(|needs| graph.nar_size_of(needs.iter())).collect();
    let is_top = |path: usize| {
        closure.roots().contains(&graph.paths[path].path)
            || closure_sizes[path] > LARGE
            || popularity(graph, path) >= POPULAR
    };
    let tops: Vec<usize> = (0..graph.paths.len()).filter(|path| is_top(*path)).collect();

    let mut branches: Vec<Branch> = Vec::new();
    let mut branch_of = vec![None; graph.paths.len()];
    let mut by_top: Vec<(usize, usize)> =
        branch_tops(graph, &tops).into_iter().enumerate().map(|(path, top)| (top, path)).collect();
    by_top.sort_unstable();
    for (top, path) in by_top {
        let at = *branch_of[top].get_or_insert_with(|| {
            branches.push(Branch { top: Some(top), paths: Vec::new(), rating: 0 });
            branches.len() - 1
        });
        branches[at].paths.push(path);
        branches[at].rating += popularity(graph, top) as u128 * u128::from(closure_sizes[path]);
    }
    branches.sort_by_key(|branch| branch.rating);

    let merged = branches.len().saturating_sub(max_layers) + 1;
    let mut lowest = branches.drain(..merged.min(branches.len()));
    let first = lowest.next();
    let first = first.map(|first| {
        lowest.fold(first, |mut all, branch| {
            all.paths.extend(branch.paths);
            Branch { top: None, ..all }
        })
    });
    first.into_iter().chain(branches).map(|branch| layer(graph, &branch)).collect()
}

fn popularity(graph: &ReferenceGraph<'_>, path: usize) -> usize {
    let name = graph.paths[path].path.name();
    if EVERYWHERE.iter().any(|everywhere| name.starts_with(everywhere)) {
        return MOST_POPULAR;
    }
    graph.users[path].len().max(1)
}

fn layer(graph: &ReferenceGraph<'_>, branch: &Branch) -> PlannedLayer {
    let rule = match (branch.top, branch.paths.as_slice()) {
        (_, [only]) => Rule::Alone { nar_size: graph.nar_size(*only) },
        (Some(top), _) => Rule::Dominated { package: graph.package(top).to_owned() },
        (None, _) => Rule::Remainder,
    };
    PlannedLayer::new(graph, &branch.paths, rule)
}

/// For each path, the child of the virtual root that every way to the path leads through.
///
/// The whole tree is not wanted: a path belongs to the branch that all of its users are in, and begins one of its
/// own where they are in several. In a cycle of several paths that holds for the cycle as one, whose paths that
/// are entered from outside each may begin a branch; the cycle then goes to the first.
fn branch_tops(graph: &ReferenceGraph<'_>, tops: &[usize]) -> Vec<usize> {
    let mut top_of = vec![usize::MAX; graph.paths.len()];
    // Users come before what they use.
    for component in graph.components.iter().rev() {
        let is_outside = |user: &usize| component.binary_search(user).is_err();
        let mut above: Vec<usize> = component
            .iter()
            .flat_map(|path| &graph.users[*path])
            .copied()
            .filter(is_outside)
            .map(|user| top_of[user])
            .collect();
        above.sort_unstable();
        above.dedup();
        let own_top = component.iter().copied().find(|path| tops.binary_search(path).is_ok());
        let top = match (own_top, above.as_slice()) {
            (Some(own), _) => own,
            (None, [only]) => *only,
            (None, _) => component[0],
        };
        for path in component {
            top_of[*path] = top;
        }
    }
    top_of
}
