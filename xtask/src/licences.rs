//! Which licences the dependencies may have.
//!
//! In: `cargo metadata`. Out: nothing, or the packages whose licence expression (SPDX 2.3, annex D) cannot be
//! fulfilled with the list here. Whole workspace, so development dependencies as well.
//!
//! cargo-deny would check the same and security advisories too; it is not used because its database of advisories
//! is a git repository that continuous integration cannot reach.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::steps::cargo;
use crate::terminal::say;

/// Licences that ask for no more than a notice, and the weak copyleft of single files.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Checks every package that `Cargo.lock` names.
pub(crate) fn check() -> Result<()> {
    let mut command = cargo(["metadata", "--format-version=1", "--locked"]);
    let output = command.output().context("cannot start cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata wrote")?;
    let packages = metadata["packages"].as_array().context("cargo metadata wrote no packages")?;
    let refused: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let licence = package["license"].as_str().unwrap_or("none");
            let name = package["name"].as_str().unwrap_or_default();
            (!is_allowed(licence)).then(|| format!("{name} ({licence})"))
        })
        .collect();
    if !refused.is_empty() {
        bail!("licences that are not on the list of xtask/src/licences.rs: {}", refused.join(", "));
    }
    say(&format!("the licences of {} packages are on the list", packages.len()));
    Ok(())
}

/// Says whether an SPDX expression can be fulfilled with allowed licences alone.
///
/// `OR` binds less than `AND`; a slash is the older way to write `OR`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (allowed, rest) = alternatives(&words);
    allowed && rest.is_empty()
}

fn alternatives<'words>(words: &'words [&'words str]) -> (bool, &'words [&'words str]) {
    let (mut allowed, mut rest) = conjunction(words);
    while let ["OR", next @ ..] = rest {
        let (right, after) = conjunction(next);
        allowed |= right;
        rest = after;
    }
    (allowed, rest)
}

fn conjunction<'words>(words: &'words [&'words str]) -> (bool, &'words [&'words str]) {
    let (mut allowed, mut rest) = licence(words);
    while let ["AND", next @ ..] = rest {
        let (right, after) = licence(next);
        allowed &= right;
        rest = after;
    }
    (allowed, rest)
}

fn licence<'words>(words: &'words [&'words str]) -> (bool, &'words [&'words str]) {
    match words {
        ["(", inner @ ..] => match alternatives(inner) {
            (allowed, [")", rest @ ..]) => (allowed, rest),
            (_, rest) => (false, rest),
        },
        [name, "WITH", exception, rest @ ..] => {
            (ALLOWED.contains(&format!("{name} WITH {exception}").as_str()), rest)
        }
        [name, rest @ ..] => (ALLOWED.contains(name), rest),
        [] => (false, words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluates_licence_expressions() {
        let check =
            |expression: &str, expected: bool| assert_eq!(is_allowed(expression), expected, "{expression}");
        check("MIT", true);
        check("GPL-3.0-only", false);
        check("MIT OR GPL-3.0-only", true);
        check("MIT AND GPL-3.0-only", false);
        check("MIT/Apache-2.0", true);
        check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
        check("MIT OR GPL-2.0-only AND LGPL-2.1-only", true);
        check("(MIT OR GPL-2.0-only) AND LGPL-2.1-only", false);
        check("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true);
        check("GPL-2.0-only WITH Classpath-exception-2.0", false);
        check("(MIT", false);
        check("", false);
        check("none", false);
    }
}
