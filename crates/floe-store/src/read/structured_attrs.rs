//! The closures that a build is given: `exportReferencesGraph` with `__structuredAttrs = true`.
//!
//! In `exportReferencesGraph.graph = [ … ]` the name `graph` is free; Nix replaces the field of that name in the
//! file that `$NIX_ATTRS_JSON_FILE` names by an array of the closure's paths (Nix `parsed-derivations.cc`,
//! `prepareStructuredAttrs`). What the builder asked for stays beside it, and so do the roots.

use serde_json::Value;

use super::path_info_json::{Entry, ParsePathInfoError};
use crate::{Closure, ClosureError, PathInfo, StoreDir, StorePath};

/// Why structured attributes hold no closure.
#[derive(Debug, thiserror::Error)]
pub enum ParseStructuredAttrsError {
    /// The text is no JSON.
    #[error("structured attributes are not JSON")]
    Json {
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// There is no graph of that name: the derivation does not export it, or not as structured attributes.
    #[error(
        "structured attributes have no array '{key}': expected exportReferencesGraph.{key} in the derivation"
    )]
    NoGraph {
        /// The graph's name.
        key: String,
    },
    /// An entry of the graph is malformed.
    #[error("entry {index} of '{key}' does not describe a store path")]
    Entry {
        /// The graph's name.
        key: String,
        /// The entry, counted from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: ParsePathInfoError,
    },
    /// The graph is not a closure.
    #[error("the paths in '{key}' form no closure")]
    NoClosure {
        /// The graph's name.
        key: String,
        /// Why not.
        #[source]
        source: ClosureError,
    },
}

/// Parses the closure of the graph `key` (usually `graph`) out of a structured attributes file.
///
/// Its roots are the store paths that the derivation asked for, in that order; where those are not in the
/// file, the paths that no other refers to.
///
/// # Errors
/// When the file is no JSON, has no such graph, or an entry is malformed.
pub fn parse(bytes: &[u8], key: &str, store_dir: &StoreDir) -> Result<Closure, ParseStructuredAttrsError> {
    let attributes: Value =
        serde_json::from_slice(bytes).map_err(|source| ParseStructuredAttrsError::Json { source })?;
    let Some(Value::Array(entries)) = attributes.get(key) else {
        return Err(ParseStructuredAttrsError::NoGraph { key: key.to_owned() });
    };
    let infos = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            parse_entry(entry, store_dir).map_err(|source| ParseStructuredAttrsError::Entry {
                key: key.to_owned(),
                index,
                source,
            })
        })
        .collect::<Result<Vec<PathInfo>, _>>()?;
    let asked = attributes.get("exportReferencesGraph").and_then(|graphs| graphs.get(key));
    match asked.and_then(|asked| asked_roots(asked, store_dir, &infos)) {
        Some(roots) => Closure::new(store_dir.clone(), roots, infos),
        None => Closure::of_all(store_dir.clone(), infos),
    }
    .map_err(|source| ParseStructuredAttrsError::NoClosure { key: key.to_owned(), source })
}

fn parse_entry(entry: &Value, store_dir: &StoreDir) -> Result<PathInfo, ParsePathInfoError> {
    use serde::Deserialize as _;

    let entry = Entry::deserialize(entry).map_err(|source| ParsePathInfoError::Json { source })?;
    let path = entry.path.clone().ok_or(ParsePathInfoError::Form)?;
    entry.parse(&path, store_dir)
}

/// The paths that were asked for: one text or an array of them, each a store path or a path below one.
/// `None` when one is something else, or when they do not reach every path (a `.drv` brings its outputs along).
fn asked_roots(asked: &Value, store_dir: &StoreDir, infos: &[PathInfo]) -> Option<Vec<StorePath>> {
    let texts = match asked {
        Value::Array(texts) => texts.iter().collect(),
        text => vec![text],
    };
    let roots = texts
        .into_iter()
        .map(|text| store_dir.containing(text.as_str()?.as_ref()).ok())
        .collect::<Option<Vec<_>>>()?;
    let closure = Closure::new(store_dir.clone(), roots.iter().cloned(), infos.iter().cloned()).ok()?;
    let reaches_all = infos.iter().all(|info| closure.info(&info.path).is_some());
    reaches_all.then_some(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

    fn full(name: &str) -> String {
        let letter = name.chars().next().expect("a name");
        format!("/nix/store/{}-{name}", letter.to_string().repeat(32))
    }

    fn entry(name: &str, references: &[&str]) -> Value {
        let references: Vec<String> = references.iter().map(|name| full(name)).collect();
        serde_json::json!({
            "path": full(name), "narHash": HASH, "narSize": 8, "references": references, "closureSize": 99, "valid": true,
        })
    }

    fn root_names(attributes: &Value) -> Vec<String> {
        let closure = parse(attributes.to_string().as_bytes(), "graph", &StoreDir::default());
        closure.expect("a closure").roots().iter().map(|root| root.name().to_owned()).collect()
    }

    #[test]
    fn takes_the_roots_that_were_asked_for() {
        let graph = [entry("a", &["b", "a"]), entry("b", &[]), entry("c", &[])];
        for (asked, expected) in [
            (serde_json::json!({ "graph": [full("c"), full("a")] }), vec!["c", "a"]),
            (serde_json::json!({ "graph": [full("c"), full("a") + "/bin", full("b")] }), vec!["c", "a", "b"]),
            (serde_json::json!({ "graph": [full("c")] }), vec!["a", "c"]),
            (serde_json::json!({ "graph": 7 }), vec!["a", "c"]),
            (serde_json::json!({}), vec!["a", "c"]),
        ] {
            let attributes = serde_json::json!({ "exportReferencesGraph": asked, "graph": graph });
            assert_eq!(root_names(&attributes), expected, "{asked}");
        }
        let one = serde_json::json!({ "exportReferencesGraph": { "graph": full("a") }, "graph": graph[..2] });
        assert_eq!(root_names(&one), ["a"]);
    }

    #[test]
    fn says_what_is_wrong() {
        let hashless =
            serde_json::json!({ "graph": [{ "path": full("a"), "narSize": 1, "references": [] }] });
        for (text, expected) in [
            ("{".to_owned(), "not JSON"),
            ("[]".to_owned(), "no array 'graph'"),
            (r#"{"graph": {}}"#.to_owned(), "no array 'graph'"),
            (r#"{"graph": [7]}"#.to_owned(), "entry 0 of 'graph'"),
            (hashless.to_string(), "entry 0 of 'graph'"),
            (serde_json::json!({ "graph": [entry("a", &["b"])] }).to_string(), "form no closure"),
        ] {
            let error = parse(text.as_bytes(), "graph", &StoreDir::default()).expect_err(expected);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in r#"[\[{]("(graph|path|narHash|valid)"|[:,\[\]{}0-9]|null|true){0,40}"#) {
            drop(parse(text.as_bytes(), "graph", &StoreDir::default()));
        }
    }
}
