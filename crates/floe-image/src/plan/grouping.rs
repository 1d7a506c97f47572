//! Greedy grouping: merges the two groups whose union costs least, until nothing gains and the budget holds.
//!
//! Costs are floating point: products of sizes and rates outgrow 64 bits, and wider integers take twice
//! the time. Each operation is one that IEEE 754 defines to the last bit, so every machine agrees.
//!
//! Plain agglomerative clustering with a remembered best partner for each group: about groups² unions
//! in all, and few more in practice (Anderberg 1973, "Cluster Analysis for Applications", chapter 6).

use super::index_set::IndexSet;

/// What one more layer costs a puller, in bytes: a round trip of some 10 ms at some 10 MB/s.
const ROUND_TRIP: f64 = 131_072.0;

/// How often a new machine pulls everything, for each time that one source changes.
///
/// More than [`REGROUPING`], so that tiny paths share a layer even if nothing changes them together.
const FULL_PULLS: f64 = 2.0;

/// How often the application changes for each time that one of the sources below it does.
const APPLICATION_RATE: usize = 64;

/// How often a path joins or leaves a layer, for each path that could and each time that one source changes.
///
/// A path that comes, goes or grows in one build shifts which small paths go together; a large path that
/// carried some of them for the sake of a round trip would be sent again for nothing.
const REGROUPING: f64 = 1.0;

/// Paths that share a layer, and what makes it change.
pub(super) struct Group {
    /// The paths' indices, in the order of merging. Invariant: at least one.
    pub(super) paths: Vec<usize>,
    /// The sum of the paths' rounded sizes, in bytes.
    size: f64,
    /// The sources that the paths are made of or need.
    sources: IndexSet,
    /// Those of them that change as often as the application.
    often: IndexSet,
    /// How often any of the sources changes, in changes of a single one.
    pub(super) source_rate: f64,
    /// How often the layer changes: with its sources, or since a path joins or leaves it.
    rate: f64,
    /// Whether the paths are the application's own. Invariant: all are, or none, unless there is one group only.
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
        let rate = rate(sources.len(), own.len());
        Self {
            paths: vec![path],
            size: rounded(nar_size) as f64,
            sources,
            often: own,
            source_rate: rate,
            rate,
            is_application,
        }
    }

    fn rate_with(&self, other: &Self) -> f64 {
        rate(self.sources.len_of_union(&other.sources), self.often.len_of_union(&other.often))
    }

    fn absorb(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.size += other.size;
        self.sources.union_with(&other.sources);
        self.often.union_with(&other.often);
        self.is_application &= other.is_application;
        self.source_rate = rate(self.sources.len(), self.often.len());
        self.rate = self.source_rate + REGROUPING * (self.paths.len() - 1) as f64;
    }
}

/// How often one of so many sources changes, of which some change often.
fn rate(sources: usize, often: usize) -> f64 {
    (sources + (APPLICATION_RATE - 1) * often) as f64
}

/// A size without what small changes alter: its two highest bits. The next build of a package is seldom
/// of exactly the same size, and must not look like another package.
fn rounded(size: u64) -> u64 {
    let dropped = (u64::BITS - size.leading_zeros()).saturating_sub(2);
    size >> dropped << dropped
}

/// Merges groups until no union lowers the cost and there are at most `max_groups`.
///
/// Ties go to the earlier groups, so the order of `groups` is part of the input. The application's groups
/// and others merge only when there may be but one group.
pub(super) fn merge(groups: Vec<Group>, max_groups: usize) -> Vec<Group> {
    if max_groups == 1 {
        let absorb = |mut all: Group, next| {
            all.absorb(next);
            all
        };
        return groups.into_iter().reduce(absorb).into_iter().collect();
    }
    let mut left = groups.len();
    let mut groups: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
    let mut bests: Vec<Option<Best>> = (0..left).map(|group| best(&groups, group)).collect();
    loop {
        let lowest = bests.iter().enumerate().filter_map(|(group, best)| Some((best.as_ref()?.cost, group)));
        let Some((cost, group)) = lowest.min_by(|left, right| left.0.total_cmp(&right.0)) else { break };
        if cost >= 0.0 && left <= max_groups {
            break;
        }
        let Some(Best { partner: Some(partner), .. }) = bests[group] else {
            bests[group] = best(&groups, group);
            continue;
        };

        let (first, second) = (group.min(partner), group.max(partner));
        if let (Some(absorbed), Some(group)) = (groups[second].take(), &mut groups[first]) {
            group.absorb(absorbed);
        }
        left -= 1;
        bests[second] = None;
        bests[first] = best(&groups, first);
        for (group, known) in bests.iter_mut().enumerate().take(second) {
            let Some(known) = known.as_mut().filter(|_| group != first) else { continue };
            if known.partner == Some(first) || known.partner == Some(second) {
                known.partner = None;
            }
            if group < first
                && let Some(cost) = cost_below(&groups, group, first, known.cost)
            {
                *known = Best { cost, partner: Some(first) };
            }
        }
    }
    groups.into_iter().flatten().collect()
}

/// The cheapest union of a group with a later one.
struct Best {
    /// What the union adds to the expected cost. Invariant: no union with a later group costs less.
    cost: f64,
    /// The other group; `None` when it has merged since, so that the cost is but a lower bound.
    partner: Option<usize>,
}

/// The cheapest union of one group, or `None` when there is no later group that it may join.
fn best(groups: &[Option<Group>], group: usize) -> Option<Best> {
    let mut best: Option<Best> = None;
    for other in group + 1..groups.len() {
        let limit = best.as_ref().map_or(f64::INFINITY, |best| best.cost);
        if let Some(cost) = cost_below(groups, group, other, limit) {
            best = Some(Best { cost, partner: Some(other) });
        }
    }
    best
}

/// What the union of two groups adds to the expected cost, when that is less than `limit`.
fn cost_below(groups: &[Option<Group>], first: usize, second: usize, limit: f64) -> Option<f64> {
    let (left, right) = (groups[first].as_ref()?, groups[second].as_ref()?);
    if left.is_application != right.is_application {
        return None;
    }
    let cost = |union: f64| {
        let union = union + REGROUPING * (left.paths.len() + right.paths.len() - 1) as f64;
        left.size * (union - left.rate) + right.size * (union - right.rate)
            - ROUND_TRIP * (left.rate + right.rate - union + FULL_PULLS)
    };
    // A union changes at least as often as its parts; counting its sources is the slow step.
    if cost(left.source_rate.max(right.source_rate)) >= limit {
        return None;
    }
    Some(cost(left.rate_with(right))).filter(|cost| *cost < limit)
}
