//! Greedy grouping: merges the two groups whose union costs least, until nothing gains and the budget holds.
//!
//! Plain agglomerative clustering with a remembered best partner for each group: about groups² unions
//! in all, and few more in practice (Anderberg 1973, "Cluster Analysis for Applications", chapter 6).

use super::index_set::IndexSet;

/// What one more layer costs a puller, in bytes: a round trip of some 10 ms at some 10 MB/s.
const ROUND_TRIP: i128 = 128 * 1024;

/// How often a new machine pulls everything, for each time that one source changes.
const FULL_PULLS: i128 = 1;

/// How often the application changes for each time that one of the sources below it does.
const APPLICATION_RATE: usize = 64;

/// Paths that share a layer, and what makes it change.
pub(super) struct Group {
    /// The paths' indices, in the order of merging. Invariant: at least one.
    pub(super) paths: Vec<usize>,
    /// The sum of the paths' rounded sizes, in bytes.
    size: i128,
    /// The sources that the paths are made of or need.
    sources: IndexSet,
    /// Those of them that change as often as the application.
    often: IndexSet,
    /// Whether the paths are the application's own. Invariant: all are, or none.
    is_application: bool,
}

impl Group {
    /// A group of one path, made of `sources`, some of which change `often`.
    pub(super) fn new(
        path: usize,
        nar_size: u64,
        sources: IndexSet,
        often: &IndexSet,
        is_application: bool,
    ) -> Self {
        let mut own = sources.clone();
        own.intersect_with(often);
        Self { paths: vec![path], size: rounded(nar_size).into(), sources, often: own, is_application }
    }

    /// How often any of the paths changes, in changes of a single source.
    pub(super) fn rate(&self) -> usize {
        self.sources.len() + (APPLICATION_RATE - 1) * self.often.len()
    }

    fn rate_with(&self, other: &Self) -> usize {
        self.sources.len_of_union(&other.sources)
            + (APPLICATION_RATE - 1) * self.often.len_of_union(&other.often)
    }

    fn absorb(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.size += other.size;
        self.sources.union_with(&other.sources);
        self.often.union_with(&other.often);
        self.is_application &= other.is_application;
    }
}

/// A size without what small changes alter: its two highest bits. The next build of a package is seldom
/// of exactly the same size, and must not look like another package.
fn rounded(size: u64) -> u64 {
    let dropped = (u64::BITS - size.leading_zeros()).saturating_sub(2);
    size >> dropped << dropped
}

/// A group with what it costs to merge, and with which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Partner {
    cost: i128,
    group: usize,
}

/// Merges groups until no union lowers the cost and there are at most `max_groups`.
///
/// Ties go to the earlier groups, so the order of `groups` is part of the input. The application's groups
/// and others merge only when there may be but one group.
pub(super) fn merge(groups: Vec<Group>, max_groups: usize) -> Vec<Group> {
    if max_groups == 1 {
        return groups
            .into_iter()
            .reduce(|mut all, next| {
                all.absorb(next);
                all
            })
            .into_iter()
            .collect();
    }
    let rates: Vec<i128> = groups.iter().map(|group| group.rate() as i128).collect();
    let mut merging = Merging { rates, groups: groups.into_iter().map(Some).collect() };
    let mut left = merging.groups.len();
    let mut partners: Vec<Option<Partner>> = (0..left).map(|group| merging.partner(group)).collect();
    loop {
        let best = partners
            .iter()
            .enumerate()
            .filter_map(|(group, partner)| Some((partner.as_ref()?, group)))
            .min_by_key(|(partner, group)| (partner.cost, *group));
        let Some((&Partner { cost, group: second }, first)) = best else { break };
        if cost >= 0 && left <= max_groups {
            break;
        }
        let (first, second) = (first.min(second), first.max(second));
        merging.merge(first, second);
        left -= 1;
        partners[second] = None;
        partners[first] = merging.partner(first);
        for group in 0..partners.len() {
            let Some(partner) = partners[group] else { continue };
            if group != first && (partner.group == first || partner.group == second) {
                partners[group] = merging.partner(group);
            } else if group != first {
                let cost = merging.cost_below(group, first, partner.cost);
                partners[group] =
                    cost.map(|cost| Partner { cost, group: first }).into_iter().chain([partner]).min();
            }
        }
    }
    merging.groups.into_iter().flatten().collect()
}

struct Merging {
    /// The groups that are left, each at its first place.
    groups: Vec<Option<Group>>,
    /// Each group's rate.
    rates: Vec<i128>,
}

impl Merging {
    /// The best partner of one group, or `None` when none may join it.
    fn partner(&self, group: usize) -> Option<Partner> {
        let mut best: Option<Partner> = None;
        for other in 0..self.groups.len() {
            let limit = best.map_or(i128::MAX, |best| best.cost);
            if let Some(cost) = self.cost_below(group, other, limit)
                && cost < limit
            {
                best = Some(Partner { cost, group: other });
            }
        }
        best
    }

    /// What merging two groups adds to the expected cost, unless that is certainly more than `limit`.
    fn cost_below(&self, first: usize, second: usize, limit: i128) -> Option<i128> {
        let (left, right) = (self.groups[first].as_ref()?, self.groups[second].as_ref()?);
        if first == second || left.is_application != right.is_application {
            return None;
        }
        let (left_rate, right_rate) = (self.rates[first], self.rates[second]);
        let cost = |union: i128| {
            left.size * (union - left_rate) + right.size * (union - right_rate)
                - ROUND_TRIP * (left_rate + right_rate - union + FULL_PULLS)
        };
        // A union changes at least as often as its parts; counting its sources is the slow step.
        if cost(left_rate.max(right_rate)) > limit {
            return None;
        }
        Some(cost(left.rate_with(right) as i128))
    }

    fn merge(&mut self, first: usize, second: usize) {
        if let Some(other) = self.groups[second].take()
            && let Some(group) = &mut self.groups[first]
        {
            group.absorb(other);
            self.rates[first] = group.rate() as i128;
        }
    }
}
