//! The popularity planner: a layer for each of the most popular paths, the rest together in the last.
//!
//! The score is dockerTools' before 2025 (nixpkgs `references-by-popularity/closure-graph.py`,
//! `graph_popularity_contest`). What that recursion adds up, written without recursion: let `ways(p)` be
//! the number of different walks along references from a virtual root, which refers to each path that
//! no other refers to, down to `p`; then `score(p)` is the sum of `ways(q)` over `p` and every `q` that
//! needs `p`. Ties go by name, then hash, joined as `package_name` there joins them.

use floe_store::Closure;

use super::graph::ReferenceGraph;
use super::{PlannedLayer, Rule};

/// Plans at most `max_layers` layers, the most popular path first.
pub(super) fn plan(closure: &Closure, graph: &ReferenceGraph<'_>, max_layers: usize) -> Vec<PlannedLayer> {
    let scores = scores(graph);
    let name = |path: usize| {
        let path = &graph.paths[path].path;
        format!("{}-{}/{}", path.name(), closure.store_dir(), path.hash_part())
    };
    let mut order: Vec<usize> = (0..graph.paths.len()).collect();
    order.sort_by_cached_key(|path| (std::cmp::Reverse(scores[*path]), name(*path)));

    let alone = if order.len() > max_layers { max_layers - 1 } else { order.len() };
    let (popular, rest) = order.split_at(alone);
    let mut layers: Vec<PlannedLayer> = popular
        .iter()
        .enumerate()
        .map(|(at, path)| {
            let rule = Rule::Popular { rank: at + 1, users: graph.needed_by_count[*path] - 1 };
            PlannedLayer::new(graph, &[*path], rule)
        })
        .collect();
    if !rest.is_empty() {
        layers.push(PlannedLayer::new(graph, rest, Rule::Remainder));
    }
    layers
}

/// The score of each path.
///
/// dockerTools counts without bound; here a count stays at `u128::MAX`, where names decide. Exact
/// integers rather than floating point, so that every tie is one there too; the reference graph would
/// have to double its ways more than a hundred times over for the bound to show. Paths of a cycle,
/// which dockerTools never finishes, count as one.
fn scores(graph: &ReferenceGraph<'_>) -> Vec<u128> {
    let mut ways = vec![0_u128; graph.paths.len()];
    for component in graph.components.iter().rev() {
        let arriving = component.iter().fold(0_u128, |sum, path| sum.saturating_add(ways[*path])).max(1);
        // One member carries the component's count, so that sums over paths count it once.
        for path in component {
            ways[*path] = 0;
        }
        ways[component[0]] = arriving;
        for reference in component.iter().flat_map(|path| &graph.references[*path]) {
            if component.binary_search(reference).is_err() {
                ways[*reference] = ways[*reference].saturating_add(arriving);
            }
        }
    }
    graph
        .needed_by
        .iter()
        .map(|users| users.iter().fold(0_u128, |sum, user| sum.saturating_add(ways[user])))
        .collect()
}
