//! A group is paths that will share a layer, and what that is expected to cost.
//!
//! Costs are floating point: products of sizes and rates outgrow 64 bits, and wider integers take twice
//! the time. Each operation is one that IEEE 754 defines to the last bit, so every machine agrees. Their unit
//! is one byte moved in the time in which one source of the runtime changes once.

use super::causes::Rates;
use super::index_set::IndexSet;
use super::outlook::Outlook;

/// What one more layer costs a puller, in bytes: a round trip of some 10 ms at some 10 MB/s.
const ROUND_TRIP: f64 = 131_072.0;

/// How often a new machine pulls everything, for each time that one source changes.
///
/// More than [`REGROUPING`], so that tiny paths share a layer even if nothing changes them together.
const FULL_PULLS: f64 = 2.0;

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
    /// What makes any of the paths change.
    causes: IndexSet,
    /// How often that comes about.
    pub(super) source_rate: f64,
    /// How often the layer changes: with its sources, or since a path joins or leaves it.
    rate: f64,
    /// Which kept layer of the previous image this is; `None` for one that no machine holds yet.
    pub(super) kept: Option<usize>,
    /// What it costs to give up a layer that machines hold; 0 for a new one.
    giving_up: f64,
    /// Whether the paths are the application's own. Invariant: all are, or none, unless there is one group only.
    pub(super) is_application: bool,
}

impl Group {
    /// A group of one path.
    pub(super) fn new(outlook: &Outlook<'_>, path: usize) -> Self {
        let causes = outlook.causes.of_path[path].clone();
        let rate = outlook.causes.rates.of(&causes);
        Self {
            paths: vec![path],
            size: rounded(outlook.graph.nar_size(path)) as f64,
            causes,
            source_rate: rate,
            rate,
            kept: None,
            giving_up: 0.0,
            is_application: outlook.application.contains(path),
        }
    }

    /// A group of paths, at least one, that lie in one layer already: number `kept`, which it costs `giving_up`
    /// to send again in another form.
    pub(super) fn kept(outlook: &Outlook<'_>, paths: &[usize], kept: usize, giving_up: f64) -> Self {
        Self { kept: Some(kept), giving_up, ..Self::of(outlook, paths) }
    }

    /// A group of paths, at least one.
    pub(super) fn of(outlook: &Outlook<'_>, paths: &[usize]) -> Self {
        let mut group = Self::new(outlook, paths[0]);
        for path in &paths[1..] {
            group.absorb(Self::new(outlook, *path), &outlook.causes.rates);
        }
        group
    }

    /// Takes in the paths of another group, into a layer that no machine holds.
    pub(super) fn absorb(&mut self, other: Self, rates: &Rates) {
        self.paths.extend(other.paths);
        self.size += other.size;
        self.causes.union_with(&other.causes);
        self.is_application &= other.is_application;
        self.source_rate = rates.of(&self.causes);
        self.rate = self.source_rate + REGROUPING * (self.paths.len() - 1) as f64;
        self.kept = None;
        self.giving_up = 0.0;
    }

    /// What the union with another group adds to the expected cost, when that is less than `limit`.
    ///
    /// The application's groups and others never unite.
    pub(super) fn cost_below(&self, other: &Self, rates: &Rates, limit: f64) -> Option<f64> {
        if self.is_application != other.is_application {
            return None;
        }
        let cost = |union: f64| {
            let union = union + REGROUPING * (self.paths.len() + other.paths.len() - 1) as f64;
            self.size * (union - self.rate) + other.size * (union - other.rate)
                - ROUND_TRIP * (self.rate + other.rate - union + FULL_PULLS)
                + (self.giving_up + other.giving_up)
        };
        // A union changes at least as often as its parts; counting its causes is the slow step.
        if cost(self.source_rate.max(other.source_rate)) >= limit {
            return None;
        }
        Some(cost(rates.of_union(&self.causes, &other.causes))).filter(|cost| *cost < limit)
    }
}

/// A size without what small changes alter: its two highest bits. The next build of a package is seldom
/// of exactly the same size, and must not look like another package.
fn rounded(size: u64) -> u64 {
    let dropped = (u64::BITS - size.leading_zeros()).saturating_sub(2);
    size >> dropped << dropped
}
