//! Which paths are the application's own, and so change with each of its builds.
//!
//! An image is about the first root, as its name and its program are; of roots that another path refers to (a shell
//! that was asked for but is also used by a program) that is none. Roots without a version are the application's too, as
//! plain directories are, and so is what was evidently made for any of them: every user is the application's own, and
//! the name either has no version, as generated files and source trees have none, or begins with the name of one of
//! these roots' packages, as `server-modules-1.0` does beside `server-1.0`.

use floe_store::{Closure, PathInfo, StorePath};

use super::graph::ReferenceGraph;
use super::index_set::IndexSet;

/// The application's own paths; not empty unless the closure is.
pub(super) fn paths(closure: &Closure, graph: &ReferenceGraph<'_>) -> IndexSet {
    let index = |root: &StorePath| graph.paths.binary_search_by(|info| info.path.cmp(root)).ok();
    let roots: Vec<usize> = closure.roots().iter().filter_map(index).collect();
    // Paths of one cycle need the same, so that none of them is above the others.
    let is_above = |root: &usize| {
        graph.needed_by_count[*root] == graph.needs[*root].len_of_intersection(&graph.needed_by[*root])
    };
    let above: Vec<usize> = roots.into_iter().filter(is_above).collect();
    let is_unversioned = |root: &usize| graph.paths[*root].path.package().version.is_empty();
    let (first, others) =
        above.split_first().map_or((None, &[][..]), |(first, others)| (Some(first), others));
    let above: Vec<usize> =
        first.into_iter().chain(others.iter().filter(|root| is_unversioned(root))).copied().collect();
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
