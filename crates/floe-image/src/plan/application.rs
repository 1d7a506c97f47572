//! Which paths are the application's own, and so change with each of its builds.
//!
//! They are the roots that no other path refers to (a shell that was asked for but is also used by a
//! program is part of the runtime), and what was evidently made for them: every user is the application's
//! own, and the name either has no version, as generated files and source trees have none, or begins
//! with the name of one of these roots' packages, as `server-modules-1.0` does beside `server-1.0`.

use floe_store::{Closure, PathInfo};

use super::graph::ReferenceGraph;
use super::index_set::IndexSet;

/// The application's own paths; not empty unless the closure is.
pub(super) fn paths(closure: &Closure, graph: &ReferenceGraph<'_>) -> IndexSet {
    let is_root = |path: usize| closure.roots().contains(&graph.paths[path].path);
    let roots: Vec<usize> = (0..graph.paths.len()).filter(|path| is_root(*path)).collect();
    // Paths of one cycle need the same, so that none of them is above the others.
    let is_above = |root: &usize| {
        graph.needed_by_count[*root] == graph.needs[*root].len_of_intersection(&graph.needed_by[*root])
    };
    let above: Vec<usize> = roots.into_iter().filter(is_above).collect();
    let packages: Vec<&str> = above.iter().map(|root| graph.package(*root)).collect();

    let mut own = IndexSet::new(graph.paths.len());
    for root in &above {
        own.insert(*root);
    }
    // Users come before what they use.
    for component in graph.components.iter().rev() {
        let users_are_own = component.iter().all(|path| {
            graph.needed_by[*path]
                .iter()
                .all(|user| own.contains(user) || component.binary_search(&user).is_ok())
        });
        if users_are_own && component.iter().all(|path| is_made_for(&packages, graph.paths[*path])) {
            component.iter().for_each(|path| own.insert(*path));
        }
    }
    own
}

fn is_made_for(packages: &[&str], info: &PathInfo) -> bool {
    let package = info.path.package();
    let begins_with = |root: &&str| package.name.strip_prefix(root).is_some_and(|rest| rest.starts_with('-'));
    package.version.is_empty() || packages.iter().any(begins_with)
}
