//! floe's own planner: paths that change together share a layer, so that an update sends little.
//!
//! Give each cause of change a rate ([`super::causes`]), and each layer the rate at which any of its paths
//! changes; then an update is expected to send the sum over layers of (NAR size + a round trip) × rate. Every
//! path starts in a layer of its own, which wastes no bytes; [`super::merging`] then merges the pair whose
//! union adds least to the sum, again and again, while that lowers the sum or the budget is passed. So tiny
//! paths that change together are packed, and large paths and those that change often stay apart.
//!
//! The next build must come to the same groups although hashes and sizes have changed a little. Hence
//! nothing here looks at a hash but to tell twins apart, sizes are rounded, and ties go by package name.
//! What is the application's own and what it runs on never meet, unless the budget is a single layer. And of very many
//! paths, whose cheapest unions would shift with each path that comes or goes, [`super::families`] takes care.

use super::PlannedLayer;
use super::families::share_out;
use super::group::Group;
use super::merging::{merge_to_fit, merge_while_cheaper};
use super::outlook::Outlook;
use super::reason::rule;

/// One layer in so many is left for updates: [`super::previous`] gives them to new paths before it gives up any.
const SPARED: usize = 10;

/// More paths for each layer than this are too many to merge in pairs.
const MOST_IN_PAIRS: usize = 4;

/// Plans at most `max_layers` layers, by ascending rate of change.
pub(super) fn plan(outlook: &Outlook<'_>, max_layers: usize) -> Vec<PlannedLayer> {
    let max_layers = max_layers - max_layers / SPARED;
    let is_many = max_layers > 1 && outlook.order.len() / MOST_IN_PAIRS > max_layers;
    let (own, rest): (Vec<usize>, Vec<usize>) =
        outlook.order.iter().partition(|path| is_many && outlook.application.contains(**path));
    let alone = |paths: &[usize]| paths.iter().map(|path| Group::new(outlook, *path)).collect();
    let in_pairs = |paths: &[usize], max_layers| {
        merge_to_fit(merge_while_cheaper(alone(paths), outlook), outlook, max_layers)
    };
    if !is_many {
        return layers(outlook, in_pairs(&rest, max_layers));
    }
    let mut groups = in_pairs(&own, max_layers / 2);
    let families = share_out(outlook, &rest, max_layers - groups.len());
    groups.extend(families.iter().map(|paths| Group::of(outlook, paths)));
    layers(outlook, groups)
}

/// The layers of groups that no machine holds yet, by ascending rate of change.
pub(super) fn layers(outlook: &Outlook<'_>, mut groups: Vec<Group>) -> Vec<PlannedLayer> {
    groups.sort_by(|left, right| left.source_rate.total_cmp(&right.source_rate));
    let layer = |group: &Group| PlannedLayer::new(outlook.graph, &group.paths, rule(outlook, &group.paths));
    groups.iter().map(layer).collect()
}
