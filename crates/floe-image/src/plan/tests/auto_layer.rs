//! Splits worked out by hand.

use super::{Strategy, check};

const TWO_LARGE: &str = "
    app 10: icu nodejs zlib
    nodejs 100: ada zlib
    icu 80: zlib
    ada 5:
    zlib 1:
";

#[test]
fn splits_at_the_largest_paths() {
    // nodejs first: nodejs, ada and zlib get {nodejs}. icu next: zlib gets {icu, nodejs}, which makes four sets.
    check(
        Strategy::AutoLayer,
        3,
        TWO_LARGE,
        &["ada nodejs zlib: large path nodejs: 100 B", "app icu: remainder"],
    );
    // Then app, alone since nodejs and icu keep what they need; ada would be the fifth.
    check(
        Strategy::AutoLayer,
        4,
        TWO_LARGE,
        &[
            "zlib: shared by icu and nodejs",
            "icu: large path icu: 80 B",
            "ada nodejs: large path nodejs: 100 B",
            "app: large path app: 10 B",
        ],
    );
    check(Strategy::AutoLayer, 1, TWO_LARGE, &["ada app icu nodejs zlib: remainder"]);
}

#[test]
fn hands_over_what_a_nearer_large_path_needs() {
    // app takes all, then lib, which app needs, takes its dependency over.
    check(
        Strategy::AutoLayer,
        2,
        "
            app 9: lib
            lib 8: data
            data 1:
        ",
        &["data lib: large path lib: 8 B", "app: large path app: 9 B"],
    );
}
