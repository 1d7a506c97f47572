//! Why paths were grouped: the rule that describes best what they have in common.

use super::Rule;
use super::index_set::IndexSet;
use super::outlook::Outlook;

/// A path that is smaller than this, in bytes, is called small.
const SMALL: u64 = 1_000_000;

/// The rule of a layer that holds these paths, at least one.
pub(super) fn rule(outlook: &Outlook<'_>, paths: &[usize]) -> Rule {
    let Outlook { graph, application, .. } = outlook;
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
        .min_by_key(|user| (graph.needs_count[*user], graph.package(*user)))
        .map(|user| graph.package(user).to_owned());
    let dependency =
        common(&graph.needs).iter().min_by_key(|path| (graph.needed_by_count[*path], graph.package(*path)));
    // What most of the closure needs says nothing about these paths in particular.
    let is_particular =
        |path: usize| paths.contains(&path) || graph.needed_by_count[path] * 4 <= graph.paths.len() * 3;
    let package = |path: usize| graph.package(path).to_owned();
    match (dependency, user) {
        (Some(path), _) if is_particular(path) => {
            let users = paths.iter().filter(|user| **user != path).count();
            Rule::ChangesWith { package: package(path), users }
        }
        (_, user) if paths.iter().all(|path| graph.nar_size(*path) < SMALL) => Rule::SmallPaths { user },
        (_, Some(package)) => Rule::UsedBy { package },
        (Some(path), None) => Rule::ChangesWith { package: package(path), users: paths.len() },
        (None, None) => Rule::Remainder,
    }
}
