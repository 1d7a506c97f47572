//! Frequencies are learned from versions, survive as text, and move paths that are seen to change.

use std::collections::BTreeSet;

use floe_store::StorePath;

use super::{Strategy, closure, described, names, plan, policy, store_path};
use crate::plan::Frequencies;

/// A version from words such as `nodejs-18 server-1.0/2`: name, then what tells its hash from others.
fn version(paths: &str) -> BTreeSet<StorePath> {
    let path = |word: &str| {
        let (name, salt) = word.split_once('/').unwrap_or((word, "0"));
        store_path(name, salt.parse().expect("a number"))
    };
    paths.split_whitespace().map(path).collect()
}

#[test]
fn learns_in_which_steps_a_package_changed() {
    let versions = [
        version("glibc-2.36 nodejs-18.1 server-1.0/1 openssl-1.1 openssl-3.0"),
        version("glibc-2.36 nodejs-18.1 server-1.0/2 openssl-1.1 openssl-3.0 added-1"),
        version("glibc-2.36 nodejs-18.2 server-1.1/3 openssl-1.1 openssl-3.1"),
        version("glibc-2.36 nodejs-18.2 server-1.1/4 openssl-1.1 openssl-3.1 added-1/7"),
    ];
    // What came or went did not change; two versions of one package are one.
    let text = "# floe frequencies 1: each package, and the steps between versions in which it changed\n\
                steps 3\nnodejs 2\nopenssl 2\nserver 1 2 3\n";
    assert_eq!(Frequencies::learn(&versions).to_string(), text);
    assert_eq!(text.parse(), Ok(Frequencies::learn(&versions)));
    assert_eq!(Frequencies::learn(&[]), Frequencies::default());
    assert_eq!(Frequencies::learn(&versions[..1]), Frequencies::default());
}

#[test]
fn refuses_other_texts() {
    let check = |text: &str, expected: &str| {
        assert_eq!(text.parse::<Frequencies>().expect_err(text).to_string(), expected);
    };
    check("", "the first line is '': expected '# floe frequencies 1'");
    check(
        "# floe frequencies 12",
        "the first line is '# floe frequencies 12': expected '# floe frequencies 1'",
    );
    let steps = "expected 'steps' and a number up to 256";
    check("# floe frequencies 1\nsteps", &format!("the second line is 'steps': {steps}"));
    check("# floe frequencies 1\nsteps 257", &format!("the second line is 'steps 257': {steps}"));
    for line in ["nodejs", "nodejs 0", "nodejs 4", "nodejs 2 2", "nodejs 2 1", "nodejs x"] {
        check(
            &format!("# floe frequencies 1: steps\nsteps 3\n\n# a remark\n{line}\n"),
            &format!("line 5 is '{line}': expected a package and ascending steps from 1 to 3"),
        );
    }
    check(
        "# floe frequencies 1\nsteps 3\na 1\na 2\n",
        "line 4 is 'a 2': expected a package and ascending steps from 1 to 3",
    );
}

#[test]
fn keeps_apart_what_was_seen_to_change_apart() {
    let paths = "
        app-1.0 10: fonts-1.0 data-1.0 icons-1.0
        fonts-1.0 40000000:
        data-1.0 40000000:
        icons-1.0 40000000:
    ";
    let learned = "# floe frequencies 1\nsteps 20\napp 1 2 3 4 5 6 7\nfonts 2 5 8 11\nicons 2 5 8 11\n";
    let mut policy = policy(Strategy::Stable, 3);
    let closure = closure(&described(paths), 0);
    // Nothing tells them apart but their names, and then that two of them changed in the same steps.
    assert_eq!(names(&plan(&closure, &policy)), ["icons-1.0", "data-1.0 fonts-1.0", "app-1.0"]);
    policy.frequencies = learned.parse().expect("frequencies");
    assert_eq!(names(&plan(&closure, &policy)), ["data-1.0", "fonts-1.0 icons-1.0", "app-1.0"]);
}
