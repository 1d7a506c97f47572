//! Families share out what is too much for pairs, so that what comes or goes moves little else.
//!
//! Merging pairs by cost is right for a few hundred paths and fickle for more: one more path shifts which of many alike
//! unions is cheapest. So here a path's place follows from what is its own. A path of at least some size is alone;
//! each smaller one belongs to the nearest such path down the line of its main dependencies, the reference that needs
//! most; a family that is too light joins that of its head, one that is too heavy is parted by a hash of package names.
//! The size is the least power of the square root of two with which all fits.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::outlook::Outlook;

/// Sizes are tried in steps of this; between two steps, nothing shifts.
const STEP: f64 = std::f64::consts::SQRT_2;

/// The first size that is tried, in bytes: nothing smaller is worth a layer of its own among many.
const LEAST_SIZE: f64 = 1_024.0;

/// Shares out paths into at most `max_groups` groups, at least one.
pub(super) fn share_out(outlook: &Outlook<'_>, paths: &[usize], max_groups: usize) -> Vec<Vec<usize>> {
    let lines = Lines::new(outlook);
    let mut size = LEAST_SIZE;
    loop {
        let groups = families(outlook, &lines, paths, size);
        if groups.len() <= max_groups {
            return groups;
        }
        size *= STEP;
    }
}

/// The lines of main dependencies.
struct Lines {
    /// For each path, the one of its references that needs most.
    main: Vec<Option<usize>>,
    /// Every path, by how many it needs, then by name.
    by_depth: Vec<usize>,
    /// For each path, its place in that order.
    depth: Vec<usize>,
}

impl Lines {
    fn new(outlook: &Outlook<'_>) -> Self {
        let graph = outlook.graph;
        let name = |path: usize| outlook.places[path][0];
        let weight = |path: &&usize| (graph.needs_count[**path], Reverse(name(**path)));
        let main = graph.references.iter().map(|references| references.iter().max_by_key(weight).copied());
        let mut by_depth: Vec<usize> = (0..graph.paths.len()).collect();
        by_depth.sort_by_key(|path| (graph.needs_count[*path], name(*path)));
        let mut depth = vec![0; by_depth.len()];
        for (place, path) in by_depth.iter().enumerate() {
            depth[*path] = place;
        }
        Self { main: main.collect(), by_depth, depth }
    }

    /// The place of the nearest path down the line that `is_head`; `None` where the line ends before.
    ///
    /// Only steps to lesser places count, so that a cycle of references leads nowhere.
    fn head(&self, path: usize, is_head: impl Fn(usize) -> bool) -> Option<usize> {
        let mut path = path;
        loop {
            let next = self.main[path].filter(|next| self.depth[*next] < self.depth[path])?;
            if is_head(next) {
                return Some(self.depth[next]);
            }
            path = next;
        }
    }
}

/// The groups when paths of at least this size are alone.
fn families(outlook: &Outlook<'_>, lines: &Lines, paths: &[usize], size: f64) -> Vec<Vec<usize>> {
    let nar_size = |path: usize| outlook.graph.nar_size(path) as f64;
    let head = |path: usize| lines.head(path, |other| nar_size(other) >= size);
    let (large, small): (Vec<usize>, Vec<usize>) = paths.iter().partition(|path| nar_size(**path) >= size);
    let mut groups: Vec<Vec<usize>> = large.into_iter().map(|path| vec![path]).collect();
    let mut families: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for path in small {
        families.entry(head(path)).or_default().push(path);
    }
    // The deepest first, so that a head's family is whole before it is weighed.
    while let Some((place, members)) = families.pop_last() {
        let weight: f64 = members.iter().map(|path| nar_size(*path)).sum();
        match place {
            Some(place) if weight < size / 2.0 => {
                families.entry(head(lines.by_depth[place])).or_default().extend(members);
            }
            _ => groups.extend(parts(outlook, members, weight / size)),
        }
    }
    groups
}

/// Parts a family into as many parts as a power of two that is at least `count`; some may come out empty.
fn parts(outlook: &Outlook<'_>, members: Vec<usize>, count: f64) -> impl Iterator<Item = Vec<usize>> {
    let mut bits = 0;
    while f64::from(1_u32 << bits) < count && bits < 31 {
        bits += 1;
    }
    let mut parts: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for path in members {
        let part = spread(outlook.graph.package(path)).checked_shr(u64::BITS - bits).unwrap_or(0);
        parts.entry(part).or_default().push(path);
    }
    parts.into_values()
}

/// FNV-1a, mixed once more so that the highest bits depend on the whole name (Appleby 2011, MurmurHash3's `fmix64`).
fn spread(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |state: u64, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}
