//! What the planner with history keeps, gives up and merges.

use std::collections::BTreeSet;

use floe_store::StorePath;
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::every_planner::any_paths;
use super::{Described, Strategy, closure, described, lines, plan, policy, store_path};
use crate::plan::{Plan, Previous, PreviousLayer};

const WEB_SERVER: &str = "
    server-1.1 2000: nodejs-18.20.4 bash-5.2
    nodejs-18.20.4 60000000: openssl-3.0.13 zlib-1.3 glibc-2.36
    openssl-3.0.13 6000000: glibc-2.36
    zlib-1.3 40000: glibc-2.36
    bash-5.2 7000000: glibc-2.36
    glibc-2.36 30000000:
";

/// The image before: lines such as `glibc-2.36 zlib-1.3: 10000000`, bottom first, with the blob's size.
fn previous(text: &str) -> Previous {
    let layer = |line: &str| {
        let (names, size) = line.split_once(':').expect("a colon");
        PreviousLayer {
            paths: names.split_whitespace().map(|name| store_path(name, 0)).collect(),
            compressed_size: size.trim().parse().expect("a size in bytes"),
            nar_size: None,
        }
    };
    Previous { layers: text.lines().filter(|line| !line.trim().is_empty()).map(layer).collect() }
}

fn plan_after(paths: &[Described], previous: Previous, max_layers: usize) -> Plan {
    let policy = crate::plan::Policy { previous: Some(previous), ..policy(Strategy::Stable, max_layers) };
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
            bash-5.2 zlib-1.3: 2400000
            server-1.0: 900
            nodejs-18.20.4: 20000000
            glibc-2.36: 10000000
            openssl-3.0.13: 2000000
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
        "other-1.0: 1000",
        &[
            "bash-5.2 glibc-2.36 nodejs-18.20.4 openssl-3.0.13 zlib-1.3: changes with glibc (4 users)",
            "server-1.1: application",
        ],
    );
}

#[test]
fn carries_dead_paths_while_that_costs_less() {
    // glibc is about 10 MB compressed: a dead 2 MB beside it are carried, a dead 5 MB are not.
    let before = |size: u64| {
        format!("nodejs-18.20.4 bash-5.2 openssl-3.0.13 zlib-1.3: 24346667\nglibc-2.36 gone-1.0: {size}\n")
    };
    check(
        100,
        &before(12_000_000),
        &[
            "bash-5.2 nodejs-18.20.4 openssl-3.0.13 zlib-1.3: kept: layer 1 of the previous image",
            "glibc-2.36: kept: layer 2 of the previous image, with 1 path no longer needed",
            "server-1.1: application",
        ],
    );
    check(
        100,
        &before(15_000_000),
        &[
            "bash-5.2 nodejs-18.20.4 openssl-3.0.13 zlib-1.3: kept: layer 1 of the previous image",
            "glibc-2.36: own layer: 30 MB",
            "server-1.1: application",
        ],
    );
}

#[test]
fn reckons_with_known_sizes() {
    // By NAR size a tenth is dead, whatever the blob's size seems to say.
    let mut before = previous("glibc-2.36 gone-1.0: 30000000\nnodejs-18.20.4: 20000000\n");
    before.layers[0].nar_size = Some(33_000_000);
    let plan = plan_after(&described(WEB_SERVER), before, 100);
    let kept = plan.layers[0].kept.as_ref().expect("the layer is kept");
    assert_eq!(kept.carried, [store_path("gone-1.0", 0)]);
}

#[test]
fn gives_up_the_cheapest_layers_when_the_budget_is_spent() {
    // zlib is new, and a budget of four is one too few: openssl is the cheapest to send again with it.
    check(
        5,
        "
            glibc-2.36: 10000000
            openssl-3.0.13: 2000000
            bash-5.2: 2300000
            nodejs-18.20.4: 20000000
            server-1.1: 900
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
            glibc-2.36 zlib-1.3: 10013333
            bash-5.2 nodejs-18.20.4 openssl-3.0.13 zlib-1.3: 24346667
            server-1.1 zlib-1.3 glibc-2.36: 10010000
        ",
        &[
            "glibc-2.36 zlib-1.3: kept: layer 1 of the previous image",
            "bash-5.2 nodejs-18.20.4 openssl-3.0.13: kept: layer 2 of the previous image, \
             with 1 path no longer needed",
            "server-1.1: application",
        ],
    );
}

/// An image that some planner made of the paths.
fn image(paths: &[Described], strategy: Strategy, max_layers: usize) -> Previous {
    let plan = plan(&closure(paths, 0), &policy(strategy, max_layers));
    let layer = |layer: crate::plan::PlannedLayer| PreviousLayer {
        compressed_size: layer.nar_size / 3,
        // Half of the images come with sizes.
        nar_size: max_layers.is_multiple_of(2).then_some(layer.nar_size),
        paths: layer.paths,
    };
    Previous { layers: plan.layers.into_iter().map(layer).collect() }
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
            let held: BTreeSet<&StorePath> = layer.paths.iter().chain(carried).collect();
            prop_assert_eq!(held, previous.layers[*at].paths.iter().collect::<BTreeSet<_>>());
        }
        // With room for all, nothing that is needed whole is sent again.
        if previous.layers.len() + after.len() <= max_layers {
            for (at, layer) in previous.layers.iter().enumerate() {
                let is_needed = layer.paths.iter().all(|path| closure.info(path).is_some());
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
            layer.paths.reverse();
        }
        let backwards: Vec<Described> = after.iter().rev().cloned().collect();
        prop_assert_eq!(
            plan_after(&after, previous, max_layers),
            plan_after(&backwards, shuffled, max_layers)
        );
    }
}
