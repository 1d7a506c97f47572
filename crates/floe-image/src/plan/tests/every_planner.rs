//! Properties of every plan, over random graphs with and without cycles.

use floe_store::StorePath;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

use super::{Described, STRATEGIES, Strategy, check, closure, layer_of, names, plan, policy};
use crate::plan::Rule;

/// Up to 40 paths of any size; with cycles, or with references to earlier paths only.
fn paths(cycles: bool) -> impl proptest::strategy::Strategy<Value = Vec<Described>> {
    let path = (0_u32..64, any::<bool>(), prop::collection::vec(any::<prop::sample::Index>(), 0..5));
    prop::collection::vec(path, 1..40).prop_map(move |paths| {
        let name = |at: usize| format!("p{at}{}", if paths[at].1 { "-1.0" } else { "" });
        let describe = |at: usize| {
            let (bits, _, references) = &paths[at];
            let below = if cycles { paths.len() } else { at + 1 };
            let references = references.iter().map(|index| name(index.index(below))).collect();
            (name(at), 1 << bits, references)
        };
        (0..paths.len()).map(describe).collect()
    })
}

pub(super) fn any_paths() -> impl proptest::strategy::Strategy<Value = Vec<Described>> {
    prop_oneof![paths(false), paths(true)]
}

proptest! {
    #[test]
    fn shares_out_each_path_once_within_the_budget(paths in any_paths(), max_layers in 1_usize..12) {
        let closure = closure(&paths, 0);
        for strategy in STRATEGIES {
            let plan = plan(&closure, &policy(strategy, max_layers));
            prop_assert!(plan.layers.len() <= max_layers);
            let mut planned = Vec::new();
            for layer in &plan.layers {
                prop_assert!(!layer.paths.is_empty() && layer.paths.is_sorted());
                let sizes = layer.paths.iter().filter_map(|path| closure.info(path)).map(|info| info.nar_size);
                prop_assert_eq!(layer.nar_size, sizes.fold(0_u64, u64::saturating_add));
                planned.extend(&layer.paths);
            }
            planned.sort();
            prop_assert_eq!(planned, closure.paths().map(|info| &info.path).collect::<Vec<_>>());
        }
    }

    #[test]
    fn stable_does_not_see_hashes(paths in paths(false), max_layers in 1_usize..12, salt in 1_u64..) {
        let policy = policy(Strategy::Stable, max_layers);
        let (one, other) = (plan(&closure(&paths, 0), &policy), plan(&closure(&paths, salt), &policy));
        prop_assert_eq!(names(&one), names(&other));
    }

    #[test]
    fn stable_keeps_the_application_apart(paths in paths(false), max_layers in 2_usize..12) {
        let closure = closure(&paths, 0);
        let plan = plan(&closure, &policy(Strategy::Stable, max_layers));
        let layers = layer_of(&plan);
        let is_own = |root: &&StorePath| root.package().version.is_empty() || **root == closure.roots()[0];
        for root in closure.roots().iter().filter(is_own) {
            prop_assert_eq!(&plan.layers[layers[root.name()]].rule, &Rule::Application);
        }
        // Here only a path without a version can be the application's and not its root.
        for layer in &plan.layers {
            let is_root = |path: &StorePath| closure.roots().iter().filter(is_own).any(|root| root == path);
            let runtime = layer.paths.iter().find(|path| !is_root(path) && !path.package().version.is_empty());
            prop_assert!(runtime.is_none() || !layer.paths.iter().any(is_root));
        }
    }
}

#[test]
fn plans_the_smallest_closures() {
    for strategy in STRATEGIES {
        for max_layers in [1, 2, 100] {
            check(strategy, max_layers, "", &[]);
        }
    }
    let one = "app-1.0 10: app-1.0";
    check(Strategy::Stable, 100, one, &["app-1.0: application"]);
    check(Strategy::AutoLayer, 1, one, &["app-1.0: large path app: 10 B"]);
    check(Strategy::Popularity, 100, one, &["app-1.0: number 1 by popularity (0 users)"]);
    check(Strategy::Nixery, 100, one, &["app-1.0: own layer: 10 B"]);
}
