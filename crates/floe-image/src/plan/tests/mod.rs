//! Every planner through `plan()`: closures as text go in, layers as text come out.

mod auto_layer;
mod every_planner;
mod frequencies;
mod nixery;
mod popularity;
mod previous;
mod stable;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use floe_store::{Closure, NarHash, PathInfo, StoreDir, StorePath};

use super::{Plan, PlannedLayer, Policy, Strategy, plan};

const STRATEGIES: [Strategy; 4] =
    [Strategy::Stable, Strategy::AutoLayer, Strategy::Popularity, Strategy::Nixery];

/// A path for tests: its name, its NAR size, what it refers to by name.
type Described = (String, u64, Vec<String>);

/// Reads lines such as `nodejs-18 60000: openssl-3 glibc-2`.
fn described(text: &str) -> Vec<Described> {
    let path = |line: &str| {
        let (path, references) = line.split_once(':').expect("a colon");
        let (name, size) = path.trim().split_once(' ').expect("a size");
        let references = references.split_whitespace().map(str::to_owned).collect();
        (name.to_owned(), size.parse().expect("a size in bytes"), references)
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(path).collect()
}

/// The closure of paths whose hashes come from their names and `salt`; roots are what nothing refers to, by name.
fn closure(paths: &[Described], salt: u64) -> Closure {
    let infos = paths.iter().map(|(name, nar_size, references)| PathInfo {
        path: store_path(name, salt),
        nar_hash: NarHash::from_bytes([0; 32]),
        nar_size: *nar_size,
        references: references.iter().map(|reference| store_path(reference, salt)).collect(),
        deriver: None,
        content_address: None,
    });
    let closure = Closure::of_all(StoreDir::default(), infos).expect("every reference is there");
    let mut roots = closure.roots().to_vec();
    roots.sort_by(|left, right| left.name().cmp(right.name()));
    let infos: Vec<PathInfo> = closure.paths().cloned().collect();
    Closure::new(StoreDir::default(), roots, infos).expect("the same paths")
}

fn store_path(name: &str, salt: u64) -> StorePath {
    // FNV-1a: any function that spreads names will do.
    let mut state = salt ^ 0xcbf2_9ce4_8422_2325;
    let hash: String = name
        .bytes()
        .cycle()
        .take(name.len().max(32) * 4)
        .map(|byte| {
            state = (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            char::from(b"0123456789abcdfghijklmnpqrsvwxyz"[(state >> 40) as usize % 32])
        })
        .collect();
    format!("{}-{name}", &hash[hash.len() - 32..]).parse().expect("a well-formed path")
}

fn policy(strategy: Strategy, max_layers: usize) -> Policy {
    Policy::new(strategy, NonZeroUsize::new(max_layers).expect("a budget"))
}

/// Each layer's names, sorted, bottom first.
fn names(plan: &Plan) -> Vec<String> {
    let names = |layer: &PlannedLayer| {
        let mut names: Vec<&str> = layer.paths.iter().map(StorePath::name).collect();
        names.sort_unstable();
        names.join(" ")
    };
    plan.layers.iter().map(names).collect()
}

/// Plans and compares: one line a layer, bottom first, `names: rule`.
fn check(strategy: Strategy, max_layers: usize, paths: &str, expected: &[&str]) {
    let planned = plan(&closure(&described(paths), 0), &policy(strategy, max_layers));
    assert_eq!(lines(&planned), expected, "{strategy:?}, {max_layers} layers");
}

/// Each layer as `names: rule`, bottom first.
fn lines(plan: &Plan) -> Vec<String> {
    let rules = plan.layers.iter().map(|layer| &layer.rule);
    names(plan).iter().zip(rules).map(|(names, rule)| format!("{names}: {rule}")).collect()
}

/// The layer of each path, by name.
fn layer_of(plan: &Plan) -> BTreeMap<&str, usize> {
    let layers = plan.layers.iter().enumerate();
    layers.flat_map(|(at, layer)| layer.paths.iter().map(move |path| (path.name(), at))).collect()
}
