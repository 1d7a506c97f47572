//! Checks which crates import which, as ARCHITECTURE.md says: an import names only what is upstream.
//!
//! Cargo itself refuses circles; what it cannot know is that the store must not learn of containers, nor the
//! destinations of Nix.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::steps::{cargo, workspace};
use crate::terminal::say;

/// What one crate may import.
struct Rule {
    name: &'static str,
    /// The crates of this workspace that it may import.
    upstream: &'static [&'static str],
    /// Dependencies that would break its "never" in ARCHITECTURE.md.
    never: &'static [&'static str],
}

/// The crates that reach the network.
const NETWORK: &[&str] = &["hyper", "quinn", "reqwest", "rustls", "tokio", "ureq"];

/// The crates that reach the network or draw on the terminal: too much for what goes into images.
const HEAVY: &[&str] =
    &["anyhow", "clap", "hyper", "indicatif", "quinn", "reqwest", "rustls", "serde_json", "tokio", "ureq"];

/// Upstream first.
const RULES: &[Rule] = &[
    Rule { name: "floe-store", upstream: &[], never: &["oci-spec", "reqwest", "tar", "tokio"] },
    Rule { name: "floe-image", upstream: &["floe-store"], never: NETWORK },
    Rule { name: "floe-destination", upstream: &["floe-image"], never: &["rusqlite"] },
    Rule { name: "floe", upstream: &["floe-destination", "floe-image", "floe-store"], never: &["reqwest"] },
    Rule { name: "floe-init", upstream: &["floe-store"], never: HEAVY },
    Rule { name: "floe-testkit", upstream: &[], never: &[] },
    Rule { name: "xtask", upstream: &["floe-testkit"], never: &[] },
];

/// What any crate's tests may import beside its own upstream.
const FOR_TESTS: &str = "floe-testkit";

/// Checks the workspace.
pub(crate) fn check() -> Result<()> {
    let output = cargo(["metadata", "--no-deps", "--format-version=1", "--locked"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata wrote no JSON")?;
    let architecture = fs::read_to_string(workspace().join("ARCHITECTURE.md"))?;
    let problems = problems(&metadata, &architecture);
    if !problems.is_empty() {
        bail!("the crates do not import each other as ARCHITECTURE.md says:\n  {}", problems.join("\n  "));
    }
    say(&format!("{} crates import what is upstream of them, and nothing else", RULES.len()));
    Ok(())
}

/// What is wrong with the edges, or with the table that describes the crates.
fn problems(metadata: &Value, architecture: &str) -> Vec<String> {
    let packages: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|package| Some((package["name"].as_str()?, package)))
        .collect();
    let mut problems = Vec::new();
    for (name, package) in &packages {
        if !architecture.contains(&format!("\n| `{name}` |")) {
            problems.push(format!("{name} is not in the table of ARCHITECTURE.md"));
        }
        let Some(rule) = RULES.iter().find(|rule| rule.name == *name) else {
            problems.push(format!("{name} has no rule in xtask/src/edges.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let Some(imported) = dependency["name"].as_str() else { continue };
            let is_for_tests = dependency["kind"] == "dev";
            let is_ours = packages.contains_key(imported);
            let is_upstream = rule.upstream.contains(&imported) || is_for_tests && imported == FOR_TESTS;
            if is_ours && !is_upstream {
                problems.push(format!("{name} must not import {imported}"));
            }
            if !is_for_tests && rule.never.contains(&imported) {
                problems.push(format!("{name} must not depend on {imported}"));
            }
        }
    }
    let known: BTreeSet<&str> = packages.keys().copied().collect();
    let gone = RULES.iter().filter(|rule| !known.contains(rule.name));
    problems.extend(gone.map(|rule| format!("{} has a rule, but is no crate", rule.name)));
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A workspace of all crates, one of which has one more dependency.
    fn with(name: &str, imported: &str, kind: Option<&str>) -> Vec<String> {
        let package = |rule: &Rule| {
            let mut dependencies: Vec<Value> =
                rule.upstream.iter().map(|upstream| json!({ "name": upstream, "kind": null })).collect();
            if rule.name == name {
                dependencies.push(json!({ "name": imported, "kind": kind }));
            }
            json!({ "name": rule.name, "dependencies": dependencies })
        };
        let packages: Vec<Value> = RULES.iter().map(package).collect();
        let table: String = RULES.iter().map(|rule| format!("\n| `{}` | one thing |", rule.name)).collect();
        problems(&json!({ "packages": packages }), &table)
    }

    #[test]
    fn finds_edges_that_lead_downstream() {
        for (name, imported, kind, expected) in [
            ("floe-image", "serde", None, &[] as &[&str]),
            ("floe-image", "floe-testkit", Some("dev"), &[]),
            ("floe-image", "floe-testkit", None, &["floe-image must not import floe-testkit"]),
            ("floe-image", "floe-destination", Some("dev"), &["floe-image must not import floe-destination"]),
            ("floe-destination", "floe-store", None, &["floe-destination must not import floe-store"]),
            ("floe-store", "floe-image", None, &["floe-store must not import floe-image"]),
            ("floe-image", "tokio", None, &["floe-image must not depend on tokio"]),
            ("floe-image", "tokio", Some("dev"), &[]),
        ] {
            assert_eq!(with(name, imported, kind), expected, "{name} → {imported}");
        }
    }

    #[test]
    fn wants_every_crate_described() {
        let stranger = json!({ "packages": [{ "name": "floe-stranger", "dependencies": [] }] });
        let found = problems(&stranger, "");
        assert!(
            found.contains(&"floe-stranger is not in the table of ARCHITECTURE.md".to_owned()),
            "{found:?}"
        );
        assert!(found.contains(&"floe-stranger has no rule in xtask/src/edges.rs".to_owned()), "{found:?}");
        assert!(found.contains(&"floe-store has a rule, but is no crate".to_owned()), "{found:?}");
    }

    #[test]
    fn the_workspace_is_as_it_should_be() {
        check().expect("the crates import what is upstream of them");
    }
}
