//! Scores worked out by hand, and the order that follows from them.

use super::{Strategy, check};

/// The example that `closure-graph.py` explains itself with.
const NIXPKGS_EXAMPLE: &str = "
    a 1: b g
    b 1: c e
    c 1: d e
    d 1: f
    e 1: f
    f 1:
    g 1:
";

#[test]
fn gives_popular_paths_a_layer_each() {
    // Ways from the root: a, b, c, d, g 1; e 2; f 3. Scores: f 9, e 5, d 4, c 3, b 2, g 2, a 1.
    let alone = [
        "f: number 1 by popularity (5 users)",
        "e: number 2 by popularity (3 users)",
        "d: number 3 by popularity (3 users)",
        "c: number 4 by popularity (2 users)",
        "b: number 5 by popularity (1 user)",
        "g: number 6 by popularity (1 user)",
        "a: number 7 by popularity (0 users)",
    ];
    check(Strategy::Popularity, 7, NIXPKGS_EXAMPLE, &alone);
    check(Strategy::Popularity, 4, NIXPKGS_EXAMPLE, &[alone[0], alone[1], alone[2], "a b c g: remainder"]);
    check(Strategy::Popularity, 1, NIXPKGS_EXAMPLE, &["a b c d e f g: remainder"]);
}

#[test]
fn ignores_self_references_and_joins_cycles() {
    // x and y have one way between them, which both count; z has one more.
    check(
        Strategy::Popularity,
        9,
        "
            x 1: y x
            y 1: x z
            z 1: z
        ",
        &[
            "z: number 1 by popularity (2 users)",
            "x: number 2 by popularity (1 user)",
            "y: number 3 by popularity (1 user)",
        ],
    );
}

#[test]
fn breaks_ties_as_dockertools_joins_names() {
    // What follows a name there is a dash, which sorts behind a plus sign and before a dot.
    check(
        Strategy::Popularity,
        3,
        "
            lib 1:
            lib+ 1:
            lib.so 1:
        ",
        &[
            "lib+: number 1 by popularity (0 users)",
            "lib: number 2 by popularity (0 users)",
            "lib.so: number 3 by popularity (0 users)",
        ],
    );
}
