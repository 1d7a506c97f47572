//! Greedy merging: unites the two groups whose union costs least, again and again.
//!
//! Plain agglomerative clustering with a remembered best partner for each group: about groups² unions
//! in all, and few more in practice (Anderberg 1973, "Cluster Analysis for Applications", chapter 6). Thousands
//! of groups would be too many to compare each with each, so there only neighbours are, until few are left.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::group::Group;
use super::outlook::Outlook;

/// So many groups are compared each with each; what is left of more of them is mostly tiny.
const MOST_COMPARED: usize = 512;

/// How many groups on each side are neighbours, in each of the orders of [`Outlook::places`].
const REACH: usize = 4;

/// Unites groups while that lowers the expected cost.
///
/// Ties go to the earlier groups, so the order of `groups` is part of the input.
pub(super) fn merge_while_cheaper(groups: Vec<Group>, outlook: &Outlook<'_>) -> Vec<Group> {
    let is_done = |_: usize, cost: f64| cost >= 0.0;
    merge(groups, outlook, &is_done)
}

/// Unites groups until there are at most `max_groups`, whatever it costs.
///
/// The application's groups and others unite only when there may be but one group.
pub(super) fn merge_to_fit(groups: Vec<Group>, outlook: &Outlook<'_>, max_groups: usize) -> Vec<Group> {
    if groups.len() <= max_groups {
        return groups;
    }
    if max_groups == 1 {
        let absorb = |mut all: Group, next| {
            all.absorb(next, &outlook.causes.rates);
            all
        };
        return groups.into_iter().reduce(absorb).into_iter().collect();
    }
    let is_done = |left: usize, _: f64| left <= max_groups;
    merge(groups, outlook, &is_done)
}

fn merge(groups: Vec<Group>, outlook: &Outlook<'_>, is_done: &dyn Fn(usize, f64) -> bool) -> Vec<Group> {
    let mut groups = groups;
    if groups.len() > MOST_COMPARED {
        let neighbours = neighbours(&groups, outlook);
        let are_few = |left: usize, cost: f64| left <= MOST_COMPARED || is_done(left, cost);
        groups = Merging::new(groups, Comparable::Neighbours(neighbours), outlook).run(&are_few);
    }
    // More are left only where no union is wanted.
    if groups.len() <= MOST_COMPARED {
        groups = Merging::new(groups, Comparable::All, outlook).run(is_done);
    }
    groups
}

/// For each group, those near it in one of the orders; both ways.
fn neighbours(groups: &[Group], outlook: &Outlook<'_>) -> Vec<Vec<usize>> {
    let mut neighbours = vec![Vec::new(); groups.len()];
    for is_application in [false, true] {
        let alike: Vec<usize> =
            (0..groups.len()).filter(|group| groups[*group].is_application == is_application).collect();
        let orders = outlook.places.first().map_or(0, |places| places.len());
        for which in 0..orders {
            let mut order = alike.clone();
            order.sort_by_key(|group| outlook.places[groups[*group].paths[0]][which]);
            for (at, group) in order.iter().enumerate() {
                for other in order[at + 1..].iter().take(REACH) {
                    neighbours[*group].push(*other);
                    neighbours[*other].push(*group);
                }
            }
        }
    }
    for others in &mut neighbours {
        others.sort_unstable();
        others.dedup();
    }
    neighbours
}

/// Which groups a group may be compared with.
enum Comparable {
    All,
    /// For each group some others; those that were absorbed stand for what absorbed them.
    Neighbours(Vec<Vec<usize>>),
}

/// Merging under way.
struct Merging<'a> {
    /// The groups; `None` where one was absorbed.
    groups: Vec<Option<Group>>,
    /// What absorbed each group; itself while it is there. Invariant: an earlier group, or itself.
    absorbed_by: Vec<usize>,
    comparable: Comparable,
    /// The cheapest union of each group with a later one.
    bests: Vec<Option<Best>>,
    /// Every cost that a best union had, with its group; outdated where the best has another cost by now.
    costs: BinaryHeap<Reverse<(OrderedCost, usize)>>,
    outlook: &'a Outlook<'a>,
}

/// The cheapest union of a group with a later one.
struct Best {
    /// What the union adds to the expected cost. Invariant: no union with a later group costs less.
    cost: f64,
    /// The other group; `None` when it has merged since, so that the cost is but a lower bound.
    partner: Option<usize>,
}

/// A cost as a number that orders as `f64::total_cmp` does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct OrderedCost(u64);

impl OrderedCost {
    fn new(cost: f64) -> Self {
        let bits = cost.to_bits();
        Self(if cost.is_sign_negative() { !bits } else { bits | 1 << 63 })
    }
}

impl<'a> Merging<'a> {
    fn new(groups: Vec<Group>, comparable: Comparable, outlook: &'a Outlook<'a>) -> Self {
        let count = groups.len();
        let mut merging = Self {
            groups: groups.into_iter().map(Some).collect(),
            absorbed_by: (0..count).collect(),
            comparable,
            bests: (0..count).map(|_| None).collect(),
            costs: BinaryHeap::new(),
            outlook,
        };
        for group in 0..count {
            merging.find_best(group);
        }
        merging
    }

    /// Merges until `is_done` says so of the number of groups left and the cost of the next union.
    fn run(mut self, is_done: &dyn Fn(usize, f64) -> bool) -> Vec<Group> {
        let mut left = self.groups.len();
        // Ties go to the earlier group.
        while let Some(Reverse((cost, group))) = self.costs.pop() {
            let Some(best) = self.bests[group].as_ref().filter(|best| OrderedCost::new(best.cost) == cost)
            else {
                continue;
            };
            if is_done(left, best.cost) {
                break;
            }
            match best.partner {
                Some(partner) => {
                    self.unite(group, partner);
                    left -= 1;
                }
                None => self.find_best(group),
            }
        }
        self.groups.into_iter().flatten().collect()
    }

    fn unite(&mut self, first: usize, second: usize) {
        if let (Some(absorbed), Some(group)) = (self.groups[second].take(), &mut self.groups[first]) {
            group.absorb(absorbed, &self.outlook.causes.rates);
        }
        self.absorbed_by[second] = first;
        if let Comparable::Neighbours(neighbours) = &mut self.comparable {
            let more = std::mem::take(&mut neighbours[second]);
            neighbours[first].extend(more);
        }
        self.bests[second] = None;
        self.find_best(first);
        // Earlier groups had one of the two for a partner, or may like the union better than what they have.
        for group in self.others(first) {
            if group < second
                && let Some(known) = &mut self.bests[group]
                && (known.partner == Some(first) || known.partner == Some(second))
            {
                known.partner = None;
            }
            if group < first
                && let Some(known) = &self.bests[group]
                && let Some(cost) = self.cost_below(group, first, known.cost)
            {
                self.set_best(group, Some(Best { cost, partner: Some(first) }));
            }
        }
    }

    /// The groups that one may be compared with, ascending, each once, without itself.
    fn others(&mut self, group: usize) -> Vec<usize> {
        match &mut self.comparable {
            Comparable::All => (0..self.groups.len())
                .filter(|other| *other != group && self.groups[*other].is_some())
                .collect(),
            Comparable::Neighbours(neighbours) => {
                for other in &mut neighbours[group] {
                    while self.absorbed_by[*other] != *other {
                        *other = self.absorbed_by[*other];
                    }
                }
                neighbours[group].sort_unstable();
                neighbours[group].dedup();
                neighbours[group].retain(|other| *other != group);
                neighbours[group].clone()
            }
        }
    }

    /// Looks for the cheapest union of one group with a later one; there may be none.
    fn find_best(&mut self, group: usize) {
        let mut best: Option<Best> = None;
        for other in self.others(group) {
            let limit = best.as_ref().map_or(f64::INFINITY, |best| best.cost);
            if other > group
                && let Some(cost) = self.cost_below(group, other, limit)
            {
                best = Some(Best { cost, partner: Some(other) });
            }
        }
        self.set_best(group, best);
    }

    fn set_best(&mut self, group: usize, best: Option<Best>) {
        self.costs.extend(best.iter().map(|best| Reverse((OrderedCost::new(best.cost), group))));
        self.bests[group] = best;
    }

    fn cost_below(&self, first: usize, second: usize, limit: f64) -> Option<f64> {
        let (first, second) = (self.groups[first].as_ref()?, self.groups[second].as_ref()?);
        first.cost_below(second, &self.outlook.causes.rates, limit)
    }
}
