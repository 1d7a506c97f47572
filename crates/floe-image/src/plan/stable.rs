//! floe's own planner: paths that change together share a layer, so that an update sends little.
//!
//! In Nix a path changes exactly when its own source does or that of anything it needs. Give each source
//! a rate of change, and each layer the rate at which any of its paths changes; then an update is expected
//! to send the sum over layers of (NAR size + a round trip) × rate. Every path starts in a layer of its
//! own, which wastes no bytes; `grouping` then merges the pair whose union adds least to the sum, again
//! and again, while that lowers the sum or the budget is passed. So tiny paths that change together are
//! packed, and large paths and those that change often stay apart.
//!
//! The next build must come to the same groups although hashes and sizes have changed a little. Hence
//! nothing here looks at a hash but to tell twins apart, sizes are rounded, and ties go by package name.
//! What is the application's own and what it runs on never meet, unless the budget is a single layer.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use floe_store::Closure;

use super::graph::ReferenceGraph;
use super::grouping::{Group, merge};
use super::index_set::IndexSet;
use super::{PlannedLayer, Rule, application};

/// A path that is smaller than this, in bytes, is called small.
const SMALL: u64 = 1_000_000;

/// Plans at most `max_layers` layers, by ascending rate of change.
pub(super) fn plan(closure: &Closure, graph: &ReferenceGraph<'_>, max_layers: usize) -> Vec<PlannedLayer> {
    let application = application::paths(closure, graph);
    let order = canonical_order(graph);
    let mut groups = merge(groups(graph, &order, &application), max_layers);
    groups.sort_by(|left, right| left.source_rate.total_cmp(&right.source_rate));
    groups
        .iter()
        .map(|group| PlannedLayer::new(graph, &group.paths, rule(graph, &application, &group.paths)))
        .collect()
}

/// The paths by package name, then name, then whatever else tells them apart but their hashes.
///
/// Paths that are alike in all of it are interchangeable as far as a plan is concerned, and go by hash.
fn canonical_order(graph: &ReferenceGraph<'_>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..graph.paths.len()).collect();
    let sorted_names = |paths: &mut dyn Iterator<Item = usize>| {
        let mut names: Vec<&str> = paths.map(|path| graph.paths[path].path.name()).collect();
        names.sort_unstable();
        names
    };
    order.sort_by_cached_key(|path| {
        let name = &graph.paths[*path].path;
        (name.package().name, name.name(), Reverse(graph.nar_size(*path)), *path)
    });
    // The names around a path are looked at for namesakes only: for all paths they would take long.
    for twins in order.chunk_by_mut(|left, right| {
        let (left, right) = (graph.paths[*left], graph.paths[*right]);
        left.path.name() == right.path.name() && left.nar_size == right.nar_size
    }) {
        if twins.len() > 1 {
            twins.sort_by_cached_key(|path| {
                let users = sorted_names(&mut graph.needed_by[*path].iter());
                (users, sorted_names(&mut graph.needs[*path].iter()), *path)
            });
        }
    }
    order
}

/// One group for each path, in the order given.
fn groups(graph: &ReferenceGraph<'_>, order: &[usize], application: &IndexSet) -> Vec<Group> {
    // Outputs of one derivation share a source, and nothing else does: `openssl-3.0.13`, `openssl-3.0.13-bin`.
    let mut numbers = BTreeMap::new();
    let mut source_of = vec![0; graph.paths.len()];
    for (at, path) in order.iter().enumerate() {
        let package = graph.paths[*path].path.package();
        let version = without_output(package.version);
        // Without a version the name is too common to say anything: `source`, `config.json`.
        let namesake = if version.is_empty() { at } else { usize::MAX };
        let next = numbers.len();
        source_of[*path] = *numbers.entry((package.name, version, namesake)).or_insert(next);
    }

    let mut often = IndexSet::new(numbers.len());
    for path in application.iter() {
        often.insert(source_of[path]);
    }
    let group = |path: &usize| {
        let mut sources = IndexSet::new(numbers.len());
        for needed in graph.needs[*path].iter() {
            sources.insert(source_of[needed]);
        }
        Group::new(*path, graph.nar_size(*path), sources, &often, application.contains(*path))
    };
    order.iter().map(group).collect()
}

/// A version without the name of an output: `3.0.13` of `3.0.13-bin`, but all of `2.36-9`.
fn without_output(version: &str) -> &str {
    let output = version
        .bytes()
        .zip(version.bytes().skip(1))
        .position(|(dash, next)| dash == b'-' && next.is_ascii_alphabetic());
    output.map_or(version, |at| &version[..at])
}

fn rule(graph: &ReferenceGraph<'_>, application: &IndexSet, paths: &[usize]) -> Rule {
    let own = paths.iter().filter(|path| application.contains(**path)).count();
    if own == paths.len() {
        return Rule::Application;
    }
    if own > 0 {
        return Rule::Remainder;
    }
    if let [only] = paths {
        return Rule::Alone { nar_size: graph.nar_size(*only) };
    }

    let common = |sets: &[IndexSet]| {
        let mut common = sets[paths[0]].clone();
        paths.iter().for_each(|path| common.intersect_with(&sets[*path]));
        common
    };
    let user = common(&graph.needed_by)
        .iter()
        .filter(|user| !application.contains(*user))
        .min_by_key(|user| (graph.needs[*user].len(), graph.package(*user)))
        .map(|user| graph.package(user));
    let dependency =
        common(&graph.needs).iter().min_by_key(|path| (graph.needed_by[*path].len(), graph.package(*path)));
    // What most of the closure needs says nothing about these paths in particular.
    let is_particular =
        |path: usize| paths.contains(&path) || graph.needed_by[path].len() * 4 <= graph.paths.len() * 3;
    match (dependency, user) {
        (Some(path), _) if is_particular(path) => {
            let users = paths.iter().filter(|user| **user != path).count();
            Rule::ChangesWith { package: graph.package(path), users }
        }
        (_, user) if paths.iter().all(|path| graph.nar_size(*path) < SMALL) => Rule::SmallPaths { user },
        (_, Some(package)) => Rule::UsedBy { package },
        (Some(path), None) => Rule::ChangesWith { package: graph.package(path), users: paths.len() },
        (None, None) => Rule::Remainder,
    }
}
