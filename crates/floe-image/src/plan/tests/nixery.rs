//! Branches and ratings worked out by hand, from the example in Nixery's `layers.go`.

use super::{Strategy, check};

/// G is large, and so are the closures of D and C; E is needed in three branches.
const NIXERY_EXAMPLE: &str = "
    a 1: e
    b 2: e
    c 1: e d
    d 1: f g
    e 10:
    f 5:
    g 200000000:
";

#[test]
fn gives_each_branch_of_the_dominator_tree_a_layer() {
    // Ratings: a 11, b 12, e 3 × 10, g 200000000, d and f 200000006 + 5, c 200000017.
    let branches = [
        "a: own layer: 1 B",
        "b: own layer: 2 B",
        "e: own layer: 10 B",
        "g: own layer: 200 MB",
        "d f: needed by d alone",
        "c: own layer: 1 B",
    ];
    check(Strategy::Nixery, 6, NIXERY_EXAMPLE, &branches);
    check(Strategy::Nixery, 4, NIXERY_EXAMPLE, &["a b e: remainder", branches[3], branches[4], branches[5]]);
    check(Strategy::Nixery, 1, NIXERY_EXAMPLE, &["a b c d e f g: remainder"]);
}

#[test]
fn counts_a_certificate_bundle_as_most_popular() {
    check(
        Strategy::Nixery,
        2,
        "
            app-1.0 3: nss-cacert-3.9 lib-1.0
            lib-1.0 2:
            nss-cacert-3.9 1:
            tool-1.0 4: lib-1.0
        ",
        // It is a branch of its own though app alone needs it, and rated above all.
        &["app-1.0 lib-1.0 tool-1.0: remainder", "nss-cacert-3.9: own layer: 1 B"],
    );
}
