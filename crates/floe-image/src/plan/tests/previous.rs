//! What the planner with history keeps, gives up and merges.

use std::collections::BTreeSet;

use floe_store::{NarHash, PathInfo, StorePath};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::every_planner::any_paths;
use super::{Described, Strategy, closure, described, lines, plan, policy, store_path};
use crate::plan::{Plan, Policy, Previous};

const WEB_SERVER: &str = "
    server-1.1 2000: nodejs-18.20.4 bash-5.2
    nodejs-18.20.4 60000000: openssl-3.0.13 zlib-1.3 glibc-2.36
    openssl-3.0.13 6000000: glibc-2.36
    zlib-1.3 40000: glibc-2.36
    bash-5.2 7000000: glibc-2.36
    glibc-2.36 30000000:
";

/// The image before, bottom first: one line a layer. The store still has `gone-SIZE`, whose NAR is of that size.
fn previous(text: &str) -> Previous {
    let layers: Vec<Vec<StorePath>> = text
        .lines()
        .map(|line| line.split_whitespace().map(|name| store_path(name, 0)).collect())
        .filter(|layer: &Vec<StorePath>| !layer.is_empty())
        .collect();
    let leftover = |path: &StorePath| {
        let nar_size = path.name().strip_prefix("gone-")?.parse().ok()?;
        Some((path.clone(), info(path.clone(), nar_size)))
    };
    let leftovers = layers.iter().flatten().filter_map(leftover).collect();
    Previous { layers, leftovers }
}

fn info(path: StorePath, nar_size: u64) -> PathInfo {
    let nar_hash = NarHash::from_bytes([0; 32]);
    PathInfo { path, nar_hash, nar_size, references: BTreeSet::new(), deriver: None, content_address: None }
}

fn plan_after(paths: &[Described], previous: Previous, max_layers: usize) -> Plan {
    let policy = Policy { previous: Some(previous), ..policy(Strategy::Stable, max_layers) };
    plan(&closure(paths, 0), &policy)
}

fn check(max_layers: usize, before: &str, expected: &[&str]) {
    let plan = plan_after(&described(WEB_SERVER), previous(before), max_layers);
    assert_eq!(lines(&plan), expected, "{max_layers} layers");
}

#[test]
fn keeps_what_is_still_needed_in_its_order() {
    // Another planner's layers: the order, the odd neighbours, all stays.
    check(
        100,
        "
            bash-5.2 zlib-1.3
            server-1.0
            nodejs-18.20.4
            glibc-2.36
            openssl-3.0.13
        ",
        &[
            "bash-5.2 zlib-1.3: kept: layer 1 of the previous image",
            "nodejs-18.20.4: kept: layer 3 of the previous image",
            "glibc-2.36: kept: layer 4 of the previous image",
            "openssl-3.0.13: kept: layer 5 of the previous image",
            "server-1.1: application",
        ],
    );
    // Nothing in common with the image before: as without one.
    check(
        2,
        "other-1.0",
        &[
            "bash-5.2 glibc-2.36 nodejs-18.20.4 openssl-3.0.13 zlib-1.3: changes with glibc (4 users)",
            "server-1.1: application",
        ],
    );
}

#[test]
fn carries_dead_paths_while_that_costs_less() {
    // glibc has 30 MB: a fifth of all machines would fetch the dead path with each of 20 updates.
    for (dead, is_carried) in [("gone-7000000", true), ("gone-8000000", false), ("lost-1", false)] {
        let before = format!("nodejs-18.20.4 bash-5.2 openssl-3.0.13 zlib-1.3\nglibc-2.36 {dead}\n");
        let glibc = if is_carried {
            "glibc-2.36: kept: layer 2 of the previous image, with 1 path no longer needed"
        } else {
            "glibc-2.36: own layer: 30 MB"
        };
        let rest = "bash-5.2 nodejs-18.20.4 openssl-3.0.13 zlib-1.3: kept: layer 1 of the previous image";
        check(100, &before, &[rest, glibc, "server-1.1: application"]);
    }
}

#[test]
fn gives_up_the_cheapest_layers_when_the_budget_is_spent() {
    // zlib is new, and a budget of four is one too few: openssl is the cheapest to send again with it.
    check(
        5,
        "
            glibc-2.36
            openssl-3.0.13
            bash-5.2
            nodejs-18.20.4
            server-1.1
        ",
        &[
            "glibc-2.36: kept: layer 1 of the previous image",
            "bash-5.2: kept: layer 3 of the previous image",
            "nodejs-18.20.4: kept: layer 4 of the previous image",
            "server-1.1: kept: layer 5 of the previous image",
            "openssl-3.0.13 zlib-1.3: used by nodejs",
        ],
    );
}

#[test]
fn gives_a_path_of_two_layers_to_the_lower() {
    check(
        3,
        "
            glibc-2.36 zlib-1.3
            bash-5.2 nodejs-18.20.4 openssl-3.0.13 zlib-1.3
            server-1.1 zlib-1.3 glibc-2.36
        ",
        &[
            "glibc-2.36 zlib-1.3: kept: layer 1 of the previous image",
            // With the path that is the lower layer's now, this one is not the layer that machines hold.
            "bash-5.2 nodejs-18.20.4 openssl-3.0.13: changes with glibc (3 users)",
            "server-1.1: application",
        ],
    );
}

/// An image that some planner made of the paths; the store still has every other one of them.
fn image(paths: &[Described], strategy: Strategy, max_layers: usize) -> Previous {
    let closure = closure(paths, 0);
    let plan = plan(&closure, &policy(strategy, max_layers));
    let leftovers = closure.paths().step_by(2).map(|info| (info.path.clone(), info.clone())).collect();
    Previous { layers: plan.layers.into_iter().map(|layer| layer.paths).collect(), leftovers }
}

proptest! {
    #[test]
    fn alters_no_layer_and_keeps_to_the_budget(
        before in any_paths(),
        after in any_paths(),
        strategy in 0..super::STRATEGIES.len(),
        max_before in 1_usize..12,
        max_layers in 1_usize..12,
    ) {
        let previous = image(&before, super::STRATEGIES[strategy], max_before);
        let plan = plan_after(&after, previous.clone(), max_layers);
        prop_assert!(plan.layers.len() <= max_layers);
        let closure = closure(&after, 0);
        let mut planned: Vec<&StorePath> = plan.layers.iter().flat_map(|layer| &layer.paths).collect();
        planned.sort();
        prop_assert_eq!(planned, closure.paths().map(|info| &info.path).collect::<Vec<_>>());

        let kept: Vec<usize> = plan.layers.iter().map_while(|layer| Some(layer.kept.as_ref()?.layer)).collect();
        prop_assert!(kept.is_sorted_by(|left, right| left < right));
        prop_assert!(plan.layers[kept.len()..].iter().all(|layer| layer.kept.is_none()));
        for (layer, at) in plan.layers.iter().zip(&kept) {
            let carried = layer.kept.iter().flat_map(|kept| &kept.carried);
            prop_assert!(carried.clone().all(|path| closure.info(path).is_none()));
            prop_assert!(carried.clone().all(|path| previous.leftovers.contains_key(path)));
            let held: BTreeSet<&StorePath> = layer.paths.iter().chain(carried).collect();
            prop_assert_eq!(held, previous.layers[*at].iter().collect::<BTreeSet<_>>());
        }
        // With room for all, nothing that is needed whole is sent again.
        if previous.layers.len() + after.len() <= max_layers {
            for (at, layer) in previous.layers.iter().enumerate() {
                let is_needed = layer.iter().all(|path| closure.info(path).is_some());
                prop_assert_eq!(is_needed && !kept.contains(&at), false);
            }
        }
    }

    #[test]
    fn does_not_see_the_order_of_its_input(
        before in any_paths(),
        after in any_paths(),
        max_layers in 1_usize..12,
    ) {
        let previous = image(&before, Strategy::Popularity, 8);
        let mut shuffled = previous.clone();
        for layer in &mut shuffled.layers {
            layer.reverse();
        }
        let backwards: Vec<Described> = after.iter().rev().cloned().collect();
        prop_assert_eq!(
            plan_after(&after, previous, max_layers),
            plan_after(&backwards, shuffled, max_layers)
        );
    }
}
