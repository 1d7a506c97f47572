//! What floe's own planner promises: groups that make sense, and the same ones next time.

use super::{Strategy, check, closure, described, layer_of, names, plan, policy};

const WEB_SERVER: &str = "
    server-1.0 2000: nodejs-18.20.4 source server-modules-1.0 bash-5.2
    source 3000:
    server-modules-1.0 4000000:
    nodejs-18.20.4 60000000: openssl-3.0.13 icu-72.1 zlib-1.3 brotli-1.0.9 c-ares-1.18 glibc-2.36
    openssl-3.0.13 6000000: glibc-2.36
    icu-72.1 37000000: glibc-2.36
    zlib-1.3 40000: glibc-2.36
    brotli-1.0.9 50000: glibc-2.36
    c-ares-1.18 30000: glibc-2.36
    bash-5.2 7000000: glibc-2.36
    glibc-2.36 30000000:
";

#[test]
fn groups_what_changes_together() {
    // Everything but the application changes with glibc alone, or with a few sources more, so that only
    // what is small beside a round trip shares: the two smallest libraries, the application's own texts.
    check(
        Strategy::Stable,
        100,
        WEB_SERVER,
        &[
            "glibc-2.36: own layer: 30 MB",
            "bash-5.2: own layer: 7 MB",
            "brotli-1.0.9: own layer: 50 kB",
            "icu-72.1: own layer: 37 MB",
            "openssl-3.0.13: own layer: 6 MB",
            "c-ares-1.18 zlib-1.3: small paths used by nodejs",
            "nodejs-18.20.4: own layer: 60 MB",
            "server-modules-1.0: application",
            "server-1.0 source: application",
        ],
    );
    // One layer must hold both now, and none does while there is a choice.
    check(
        Strategy::Stable,
        1,
        WEB_SERVER,
        &["bash-5.2 brotli-1.0.9 c-ares-1.18 glibc-2.36 icu-72.1 nodejs-18.20.4 openssl-3.0.13 \
         server-1.0 server-modules-1.0 source zlib-1.3: remainder"],
    );
}

#[test]
fn merges_what_costs_least_under_a_small_budget() {
    check(
        Strategy::Stable,
        4,
        WEB_SERVER,
        &[
            "glibc-2.36 icu-72.1: changes with glibc (1 user)",
            "bash-5.2 brotli-1.0.9 c-ares-1.18 nodejs-18.20.4 openssl-3.0.13 zlib-1.3: \
             changes with glibc (6 users)",
            "server-modules-1.0: application",
            "server-1.0 source: application",
        ],
    );
}

#[test]
fn packs_small_paths_by_what_they_change_with() {
    check(
        Strategy::Stable,
        100,
        "
            app-1.0 10: python3-numpy-1.24 python3-six-1.16 python3-idna-3.3 tzdata-2024 mailcap-2.1
            python3-numpy-1.24 40000: python3-3.11
            python3-six-1.16 20000: python3-3.11
            python3-idna-3.3 20000: python3-3.11
            python3-3.11 90000000: zlib-1.3
            zlib-1.3 3000000:
            tzdata-2024 9000:
            mailcap-2.1 8000:
        ",
        &[
            "zlib-1.3: own layer: 3 MB",
            "mailcap-2.1 tzdata-2024: small paths",
            "python3-3.11: own layer: 90 MB",
            "python3-idna-3.3 python3-numpy-1.24 python3-six-1.16: changes with python3 (3 users)",
            "app-1.0: application",
        ],
    );
}

#[test]
fn keeps_its_groups_when_a_path_joins() {
    let before = described(WEB_SERVER);
    for added in ["added-1.0 500: glibc-2.36", "added-1.0 5000000: openssl-3.0.13", "zzz-1.0 50000000:"] {
        let mut after = before.clone();
        after.extend(described(added));
        let (name, ..) = after[after.len() - 1].clone();
        after[0].2.push(name);
        let policy = policy(Strategy::Stable, 20);
        let (before, after) = (plan(&closure(&before, 1), &policy), plan(&closure(&after, 2), &policy));
        let kept = names(&after);
        let sent_again: Vec<(String, u64)> = names(&before)
            .into_iter()
            .zip(before.layers.iter().map(|layer| layer.nar_size))
            .filter(|(layer, _)| !kept.contains(layer))
            .collect();
        // Small paths may find a better neighbour; nothing large may move.
        let bytes: u64 = sent_again.iter().map(|(_, nar_size)| nar_size).sum();
        assert!(bytes < 200_000, "{added}: {sent_again:?} are not in {kept:?}");
    }
}

#[test]
fn keeps_outputs_of_one_package_together() {
    let paths = "
        app-1 10: curl-8.0.1-bin python3-3.11
        curl-8.0.1-bin 300000: curl-8.0.1
        curl-8.0.1 400000:
        python3-3.11 90000000: curl-8.0.1
    ";
    let plan = plan(&closure(&described(paths), 0), &policy(Strategy::Stable, 3));
    let layers = layer_of(&plan);
    assert_eq!(layers["curl-8.0.1"], layers["curl-8.0.1-bin"]);
}

/// A shell and many small libraries, some of which need a large one.
fn many_libraries(count: usize) -> Vec<super::Described> {
    let library = |number: usize| {
        let needs = if number.is_multiple_of(3) { "engine-1.0" } else { "glibc-2.36" };
        (format!("lib{number}-1.0"), 20_000 + number as u64, vec![needs.to_owned()])
    };
    let libraries: Vec<super::Described> = (0..count).map(library).collect();
    let mut paths = described(
        "engine-1.0 9000000: glibc-2.36
         glibc-2.36 30000000:",
    );
    paths.push(("app-1.0".to_owned(), 1_000, libraries.iter().map(|(name, ..)| name.clone()).collect()));
    paths.extend(libraries);
    paths
}

#[test]
fn moves_one_part_when_one_path_of_many_joins() {
    let policy = policy(Strategy::Stable, 20);
    let (before, after) = (many_libraries(200), many_libraries(201));
    let (before, after) = (plan(&closure(&before, 1), &policy), plan(&closure(&after, 2), &policy));
    let (before, after) = (names(&before), names(&after));
    assert!(after.iter().any(|layer| layer == "engine-1.0") && after.iter().any(|layer| layer == "app-1.0"));
    // The part that it joins, and the application that needs it.
    let moved: Vec<&String> = after.iter().filter(|layer| !before.contains(layer)).collect();
    assert!(moved.len() <= 1, "{moved:?}");
    // What needs the engine is apart from what does not.
    let needs_engine = |name: &str| {
        let number = name.strip_prefix("lib").and_then(|rest| rest.strip_suffix("-1.0"));
        number.and_then(|number| number.parse::<usize>().ok()).map(|number| number.is_multiple_of(3))
    };
    for layer in &after {
        let mut kinds: Vec<bool> = layer.split(' ').filter_map(needs_engine).collect();
        kinds.dedup();
        assert!(kinds.len() <= 1, "{layer}");
    }
}
