//! A closure's references as a graph of indices, with everything a path needs and everything that needs it.
//!
//! A [`Closure`] comes in; the planners ask the graph instead of chasing paths. Nix's graphs have no
//! cycles but for self references; a foreign closure may hold some, so paths that reach each other are
//! joined into one component first (Tarjan 1972, "Depth-first search and linear graph algorithms",
//! without recursion, since a closure can be deeper than a stack).

use floe_store::{Closure, PathInfo};

use super::index_set::IndexSet;

/// The reference graph of a closure; a path is its index in [`ReferenceGraph::paths`].
pub(super) struct ReferenceGraph<'a> {
    /// The closure's paths, sorted by base name.
    pub(super) paths: Vec<&'a PathInfo>,
    /// For each path, what it refers to. Invariant: sorted, without the path itself.
    pub(super) references: Vec<Vec<usize>>,
    /// Paths that reach each other, dependencies before users; without cycles each holds one path.
    pub(super) components: Vec<Vec<usize>>,
    /// For each path, everything it needs, itself included.
    pub(super) needs: Vec<IndexSet>,
    /// For each path, everything that needs it, itself included.
    pub(super) needed_by: Vec<IndexSet>,
    /// For each path, what refers to it. Invariant: sorted, without the path itself.
    pub(super) users: Vec<Vec<usize>>,
    /// For each path, how many paths it needs, itself included: asked often, and slow to count.
    pub(super) needs_count: Vec<usize>,
    /// For each path, how many paths need it, itself included.
    pub(super) needed_by_count: Vec<usize>,
}

impl<'a> ReferenceGraph<'a> {
    /// Makes the graph of a closure in time proportional to references × paths / 64.
    pub(super) fn new(closure: &'a Closure) -> Self {
        let paths: Vec<&PathInfo> = closure.paths().collect();
        let references: Vec<Vec<usize>> = paths
            .iter()
            .enumerate()
            .map(|(index, info)| {
                let others = info.references.iter().filter_map(|reference| {
                    paths.binary_search_by(|candidate| candidate.path.cmp(reference)).ok()
                });
                others.filter(|other| *other != index).collect()
            })
            .collect();
        let components = components(&references);
        let needs = reach(&components, &references);

        let mut users = vec![Vec::new(); paths.len()];
        for (user, used) in references.iter().enumerate() {
            for reference in used {
                users[*reference].push(user);
            }
        }
        let needed_by = reach(components.iter().rev(), &users);
        let needs_count = needs.iter().map(IndexSet::len).collect();
        let needed_by_count = needed_by.iter().map(IndexSet::len).collect();
        Self { paths, references, components, needs, needed_by, users, needs_count, needed_by_count }
    }

    /// The NAR size of one path, in bytes.
    pub(super) fn nar_size(&self, path: usize) -> u64 {
        self.paths[path].nar_size
    }

    /// The name of one path's package, without its version.
    pub(super) fn package(&self, path: usize) -> &'a str {
        self.paths[path].path.package().name
    }

    /// The sum of the NAR sizes of some paths, in bytes; stays at `u64::MAX` where sizes were made up.
    pub(super) fn nar_size_of(&self, paths: impl IntoIterator<Item = usize>) -> u64 {
        paths.into_iter().fold(0, |sum, path| sum.saturating_add(self.nar_size(path)))
    }

    /// The sum of the NAR sizes of some paths and everything they need, in bytes.
    pub(super) fn closure_size_of(&self, paths: &[usize]) -> u64 {
        let mut needed = IndexSet::new(self.paths.len());
        for path in paths {
            needed.union_with(&self.needs[*path]);
        }
        self.nar_size_of(needed.iter())
    }
}

/// For each path, itself and whatever its component's edges lead to, in components that came before.
fn reach<'c>(components: impl IntoIterator<Item = &'c Vec<usize>>, edges: &[Vec<usize>]) -> Vec<IndexSet> {
    let mut reached = vec![IndexSet::new(edges.len()); edges.len()];
    for component in components {
        let mut all = IndexSet::new(edges.len());
        for path in component {
            all.insert(*path);
            for next in &edges[*path] {
                all.union_with(&reached[*next]);
            }
        }
        for path in component {
            reached[*path] = all.clone();
        }
    }
    reached
}

/// Not yet visited.
const UNSEEN: usize = usize::MAX;
/// In a finished component: no longer a candidate for another one.
const FINISHED: usize = usize::MAX - 1;

/// The strongly connected components, each sorted, dependencies before users.
fn components(references: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut components = Vec::new();
    // The earliest visit that a path is known to reach back to; its own visit at first.
    let mut earliest = vec![UNSEEN; references.len()];
    let mut open = Vec::new();
    let mut visits = 0;
    for start in 0..references.len() {
        if earliest[start] != UNSEEN {
            continue;
        }
        // A path, its visit, and how many of its references were looked at.
        let mut walk = vec![(start, visits, 0)];
        while let Some((path, visit, next)) = walk.pop() {
            if next == 0 {
                earliest[path] = visit;
                visits += 1;
                open.push(path);
            }
            if let Some(reference) = references[path].get(next) {
                walk.push((path, visit, next + 1));
                match earliest[*reference] {
                    UNSEEN => walk.push((*reference, visits, 0)),
                    FINISHED => {}
                    seen => earliest[path] = earliest[path].min(seen),
                }
                continue;
            }
            if earliest[path] == visit {
                let at = open.iter().rposition(|candidate| *candidate == path);
                let mut component = open.split_off(at.expect("an unfinished path is open"));
                for member in &component {
                    earliest[*member] = FINISHED;
                }
                component.sort_unstable();
                components.push(component);
            } else if let Some((user, ..)) = walk.last() {
                earliest[*user] = earliest[*user].min(earliest[path]);
            }
        }
    }
    components
}
