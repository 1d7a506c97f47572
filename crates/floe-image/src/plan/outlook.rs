//! What a planner knows of how a closure's paths will change: their causes, their order, their neighbours.
//!
//! Nothing here looks at a hash but to tell twins apart, since the next build must come to the same groups
//! although hashes have changed.

use std::cmp::Reverse;

use floe_store::Closure;

use super::causes::Causes;
use super::graph::ReferenceGraph;
use super::index_set::IndexSet;
use super::{Frequencies, application};

/// The orders in which alike paths come near each other.
const ORDERS: usize = 4;

/// What is expected of a closure's paths.
pub(super) struct Outlook<'a> {
    /// The closure's references.
    pub(super) graph: &'a ReferenceGraph<'a>,
    /// The application's own paths.
    pub(super) application: IndexSet,
    /// What makes each path change.
    pub(super) causes: Causes,
    /// Every path, by package name, then name, then whatever else tells them apart but their hashes.
    pub(super) order: Vec<usize>,
    /// For each path, its place in each of some orders: by name, by what it refers to, by who refers to it,
    /// by rate of change. Paths that are near each other in one of them are worth comparing.
    pub(super) places: Vec<[usize; ORDERS]>,
}

impl<'a> Outlook<'a> {
    /// Looks at a closure.
    pub(super) fn new(closure: &Closure, graph: &'a ReferenceGraph<'a>, frequencies: &Frequencies) -> Self {
        let application = application::paths(closure, graph);
        let order = canonical_order(graph);
        let causes = Causes::new(graph, &order, &application, frequencies);
        let places = places(graph, &order, &causes);
        Self { graph, application, causes, order, places }
    }
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

fn places(graph: &ReferenceGraph<'_>, order: &[usize], causes: &Causes) -> Vec<[usize; ORDERS]> {
    let mut by_name = vec![0; order.len()];
    for (place, path) in order.iter().enumerate() {
        by_name[*path] = place;
    }
    let named = |paths: &[usize]| {
        let mut places: Vec<usize> = paths.iter().map(|path| by_name[*path]).collect();
        places.sort_unstable();
        places
    };
    let mut by_references = order.to_vec();
    by_references.sort_by_cached_key(|path| (named(&graph.references[*path]), graph.nar_size(*path)));
    let mut by_users = order.to_vec();
    by_users.sort_by_cached_key(|path| (named(&graph.users[*path]), graph.nar_size(*path)));
    let mut by_rate: Vec<(f64, u64, usize)> = order
        .iter()
        .map(|path| (causes.rates.of(&causes.of_path[*path]), graph.nar_size(*path), *path))
        .collect();
    by_rate.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));

    let mut places = vec![[0; ORDERS]; order.len()];
    let by_rate = by_rate.into_iter().map(|(_, _, path)| path).collect();
    for (which, order) in [order.to_vec(), by_references, by_users, by_rate].iter().enumerate() {
        for (place, path) in order.iter().enumerate() {
            places[*path][which] = place;
        }
    }
    places
}
