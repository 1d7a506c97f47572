//! `nix path-info --json`, in each of the forms that Nix has given it.
//!
//! | Nix | form |
//! |---|---|
//! | up to 2.18 | an array of objects with `path`; `valid: false` for a path that is not |
//! | from 2.19 | a map by full path; `null` for a path that is not valid |
//! | `--json-format 2` | `{version, storeDir, info: {<base name>: …}}`, references as base names |
//! | `--json-format 3` | the same with hashes and signatures as objects |
//!
//! Fields that are not needed are skipped, so a newer Nix may add more.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::program::{self, RunNixError, StandardError};
use crate::{Closure, ClosureError, NarHash, ParseStorePathError, PathInfo, Store, StoreDir, StorePath};

/// The newest `--json-format` that is known.
const NEWEST_VERSION: u64 = 3;

/// The largest NAR that is believed, in bytes: what Nix's database can hold.
const LARGEST_NAR: u64 = i64::MAX as u64;

/// Why a text is not the JSON of `nix path-info`.
#[derive(Debug, thiserror::Error)]
pub enum ParsePathInfoError {
    /// The text is no JSON, or an entry lacks a field that is needed.
    #[error("not the JSON of nix path-info")]
    Json {
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The text is JSON and neither an array nor an object of paths.
    #[error("expected an array or an object of store paths")]
    Form,
    /// A format that came after this version of floe.
    #[error("path-info format {version} is not known: expected 1 to {NEWEST_VERSION}")]
    Version {
        /// The `version` that stands in the text.
        version: String,
    },
    /// The paths belong to another store.
    #[error("the paths belong to the store {found}: expected {expected}")]
    OtherStore {
        /// The `storeDir` that stands in the text.
        found: String,
        /// The store that was asked.
        expected: StoreDir,
    },
    /// A key, reference or deriver is no store path.
    #[error("bad store path")]
    StorePath {
        /// What is wrong with it.
        #[source]
        source: ParseStorePathError,
    },
    /// A NAR hash has none of the known forms; without it, the path's bytes cannot be checked.
    #[error("{path} has the NAR hash {found}: expected a SHA-256")]
    NarHash {
        /// The path.
        path: StorePath,
        /// What stands in the text.
        found: String,
    },
    /// A NAR size is larger than any file system holds.
    #[error("{path} has a NAR of {nar_size} bytes: expected at most {LARGEST_NAR}")]
    NarSize {
        /// The path.
        path: StorePath,
        /// What stands in the text.
        nar_size: u64,
    },
    /// The path is not valid: it was never built or was collected as garbage.
    #[error("{path} is not a valid path")]
    NotValid {
        /// The full path.
        path: String,
    },
}

/// Why `nix path-info` told no closure.
#[derive(Debug, thiserror::Error)]
pub enum ReadPathInfoError {
    /// There is no store below the root. Nix was not asked, because it would make an empty one there.
    #[error("there is no store below {}", root.display())]
    NoStore {
        /// The physical root.
        root: PathBuf,
    },
    /// The program could not be run, or failed.
    #[error("nix path-info gave no answer")]
    Run {
        /// Why not.
        #[source]
        source: RunNixError,
    },
    /// A path is not valid.
    #[error("{path} is not a valid path")]
    NotValid {
        /// The full path.
        path: String,
    },
    /// Its answer cannot be read.
    #[error("cannot read the answer of nix path-info")]
    Parse {
        /// Why not.
        #[source]
        source: ParsePathInfoError,
    },
    /// Its answer is no closure.
    #[error("the answer of nix path-info is no closure")]
    NoClosure {
        /// Why not.
        #[source]
        source: ClosureError,
    },
}

/// Runs `nix path-info --json --recursive` for the roots.
///
/// # Errors
/// When Nix is not installed, there is no store below its root, a root is not valid, or the answer cannot be read.
pub fn closure(store: &Store, roots: &[StorePath]) -> Result<Closure, ReadPathInfoError> {
    let store_dir = store.store_dir();
    if let Some(root) = store.root().filter(|_| !store.database().exists()) {
        return Err(ReadPathInfoError::NoStore { root: root.to_owned() });
    }
    let mut command = Command::new(store.nix());
    command.args(["path-info", "--json", "--recursive", "--extra-experimental-features", "nix-command"]);
    // Whether a path is valid here is no question for the network, which costs seconds where there is none.
    command.args(["--option", "substitute", "false"]);
    if let Some(argument) = store.nix_store_argument() {
        command.args(["--store", &argument]);
    }
    if roots.iter().all(|root| root.name().ends_with(".drv")) {
        // Older Nix takes a derivation for its outputs, unless told so; newer ones ask for no such thing.
        command.arg("--derivation");
    }
    command.arg("--").args(roots.iter().map(|root| store_dir.full_path(root)));
    // The reason of a failure is kept in the error; warnings, such as the one about the format, say nothing of the paths.
    let output = program::run(&mut command, StandardError::Lines(&mut |_| {})).map_err(|source| {
        let not_valid = not_valid_path(&source, store_dir);
        not_valid.map_or(ReadPathInfoError::Run { source }, |path| ReadPathInfoError::NotValid { path })
    })?;
    let infos = parse(&output, store_dir).map_err(|source| match source {
        ParsePathInfoError::NotValid { path } => ReadPathInfoError::NotValid { path },
        source => ReadPathInfoError::Parse { source },
    })?;
    Closure::new(store_dir.clone(), roots.iter().cloned(), infos)
        .map_err(|source| ReadPathInfoError::NoClosure { source })
}

/// The path of `error: path '/nix/store/…' is not valid`.
fn not_valid_path(error: &RunNixError, store_dir: &StoreDir) -> Option<String> {
    let RunNixError::Failed { last_lines, .. } = error else { return None };
    let line = last_lines.iter().find(|line| line.contains("is not valid"))?;
    let path = line.split(['\'', '"', '‘', '’']).nth(1)?;
    store_dir.parse(path).ok().map(|path| store_dir.full_path(&path))
}

/// Parses the JSON of `nix path-info`, in the order in which the paths stand there.
///
/// # Errors
/// When it is none of the known forms, or an entry is malformed or not valid.
pub fn parse(bytes: &[u8], store_dir: &StoreDir) -> Result<Vec<PathInfo>, ParsePathInfoError> {
    let json = |source| ParsePathInfoError::Json { source };
    match serde_json::from_slice(bytes).map_err(json)? {
        Value::Array(entries) => entries
            .into_iter()
            .map(|entry| {
                let entry: Entry = serde_json::from_value(entry).map_err(json)?;
                let path = entry.path.clone().ok_or(ParsePathInfoError::Form)?;
                entry.parse(&path, store_dir)
            })
            .collect(),
        Value::Object(mut fields) if fields.contains_key("version") || fields.contains_key("info") => {
            check_header(&fields, store_dir)?;
            let Some(Value::Object(info)) = fields.remove("info") else {
                return Err(ParsePathInfoError::Form);
            };
            parse_map(info, store_dir)
        }
        Value::Object(entries) => parse_map(entries, store_dir),
        _ => Err(ParsePathInfoError::Form),
    }
}

fn check_header(fields: &Map<String, Value>, store_dir: &StoreDir) -> Result<(), ParsePathInfoError> {
    let version = fields.get("version").unwrap_or(&Value::Null);
    if version.as_u64().is_none_or(|version| version > NEWEST_VERSION) {
        return Err(ParsePathInfoError::Version { version: version.to_string() });
    }
    match fields.get("storeDir") {
        None => Ok(()),
        Some(found) if found.as_str() == Some(store_dir.as_str()) => Ok(()),
        Some(found) => {
            Err(ParsePathInfoError::OtherStore { found: found.to_string(), expected: store_dir.clone() })
        }
    }
}

fn parse_map(entries: Map<String, Value>, store_dir: &StoreDir) -> Result<Vec<PathInfo>, ParsePathInfoError> {
    entries
        .into_iter()
        .map(|(path, entry)| {
            let entry: Option<Entry> =
                serde_json::from_value(entry).map_err(|source| ParsePathInfoError::Json { source })?;
            match entry {
                Some(entry) => entry.parse(&path, store_dir),
                None => Err(ParsePathInfoError::NotValid { path }),
            }
        })
        .collect()
}

/// One path as any of the forms writes it. Structured attributes share it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) path: Option<String>,
    #[serde(default = "yes")]
    valid: bool,
    nar_hash: Option<HashText>,
    nar_size: Option<u64>,
    #[serde(default)]
    references: Vec<String>,
    deriver: Option<String>,
    ca: Option<Value>,
}

fn yes() -> bool {
    true
}

/// A hash as one text, or in the parts of format 3.
#[derive(Deserialize)]
#[serde(untagged)]
enum HashText {
    Text(String),
    Parts { algorithm: String, format: Option<String>, hash: String },
}

impl HashText {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts { algorithm, format, hash } if format.as_deref() == Some("base64") => {
                format!("{algorithm}-{hash}")
            }
            Self::Parts { algorithm, hash, .. } => format!("{algorithm}:{hash}"),
        }
    }
}

impl Entry {
    /// Checks one entry; `path` is its key or its `path`, full or a base name.
    pub(super) fn parse(self, path: &str, store_dir: &StoreDir) -> Result<PathInfo, ParsePathInfoError> {
        if !self.valid {
            return Err(ParsePathInfoError::NotValid { path: path.to_owned() });
        }
        let store_path = |text: &str| {
            let parsed = if text.contains('/') { store_dir.parse(text) } else { text.parse() };
            parsed.map_err(|source| ParsePathInfoError::StorePath { source })
        };
        let path = store_path(path)?;
        let hash = self.nar_hash.map(|hash| hash.text()).unwrap_or_default();
        let Ok(nar_hash) = hash.parse::<NarHash>() else {
            return Err(ParsePathInfoError::NarHash { path, found: hash });
        };
        let nar_size = self.nar_size.ok_or(ParsePathInfoError::Form)?;
        if nar_size > LARGEST_NAR {
            return Err(ParsePathInfoError::NarSize { path, nar_size });
        }
        Ok(PathInfo {
            nar_hash,
            nar_size,
            references: self
                .references
                .iter()
                .map(|text| store_path(text))
                .collect::<Result<BTreeSet<_>, _>>()?,
            deriver: self
                .deriver
                .filter(|deriver| is_known(deriver))
                .as_deref()
                .map(store_path)
                .transpose()?,
            content_address: self.ca.as_ref().and_then(content_address),
            path,
        })
    }
}

/// Nix up to 2.4 wrote `unknown-deriver` where it knew none.
fn is_known(deriver: &str) -> bool {
    !deriver.is_empty() && deriver != "unknown-deriver"
}

/// A content address as text, or in the parts `{method, hash}` of format 2 and later.
fn content_address(value: &Value) -> Option<String> {
    if let Value::String(text) = value {
        return (!text.is_empty()).then(|| text.clone());
    }
    let method = match value.get("method")?.as_str()? {
        "nar" => "fixed:r:",
        "flat" => "fixed:",
        "git" => "fixed:git:",
        "text" => "text:",
        _ => return None,
    };
    let hash = HashText::deserialize(value.get("hash")?).ok()?.text();
    let hash = hash.parse::<NarHash>().map_or(hash, |sha256| sha256.to_string());
    Some(format!("{method}{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRI: &str = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    const BASE32: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// Replaces `$A`, `$B` by base names and the hashes' names by hashes.
    fn text(template: &str) -> String {
        let base_name = |letter: &str, name: &str| format!("{}-{name}", letter.repeat(32));
        template
            .replace("$BASE32", BASE32)
            .replace("$A", &base_name("a", "app"))
            .replace("$B", &base_name("b", "library"))
            .replace("$D", &base_name("d", "app.drv"))
            .replace("$SRI", SRI)
            .replace("$HEX", HEX)
    }

    #[test]
    fn reads_one_closure_in_every_form() {
        let mut seen: Vec<Vec<PathInfo>> = Vec::new();
        for template in [
            // Nix 2.8
            r#"[{"path":"/nix/store/$A","narHash":"$SRI","narSize":120,"references":["/nix/store/$A","/nix/store/$B"],
                "deriver":"/nix/store/$D","registrationTime":1,"signatures":["k:x"],"valid":true},
                {"path":"/nix/store/$B","narHash":"$BASE32","narSize":96,"references":[],"ca":"fixed:r:$BASE32"}]"#,
            // Nix 2.19
            r#"{"/nix/store/$A":{"ca":null,"deriver":"/nix/store/$D","narHash":"$SRI","narSize":120,
                "references":["/nix/store/$B","/nix/store/$A"],"ultimate":true},
                "/nix/store/$B":{"ca":"fixed:r:$BASE32","deriver":null,"narHash":"sha256:$HEX","narSize":96,"references":[]}}"#,
            // --json-format 2
            r#"{"version":2,"storeDir":"/nix/store","info":{"$A":{"version":2,"ca":null,"deriver":"$D","narHash":"$SRI",
                "narSize":120,"references":["$A","$B"]},"$B":{"ca":{"method":"nar","hash":"$SRI"},
                "narHash":{"algorithm":"sha256","format":"base16","hash":"$HEX"},"narSize":96,"references":[]}}}"#,
            // --json-format 3
            r#"{"version":3,"storeDir":"/nix/store","info":{"$A":{"deriver":"$D","narHash":"$SRI","narSize":120,
                "references":["$A","$B"],"signatures":[{"keyName":"k","sig":"x"}]},
                "$B":{"ca":{"method":"nar","hash":{"algorithm":"sha256","format":"base64",
                "hash":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}},"narHash":"$SRI","narSize":96,"references":[]}}}"#,
        ] {
            let infos = parse(text(template).as_bytes(), &StoreDir::default());
            seen.push(infos.unwrap_or_else(|error| panic!("{error:?}: {template}")));
        }
        let [app, library] = &seen[0][..] else { panic!("two paths") };
        assert_eq!((app.references.len(), app.nar_size, library.nar_size), (2, 120, 96));
        assert_eq!(app.deriver.as_ref().map(StorePath::name), Some("app.drv"));
        assert_eq!(library.content_address.as_deref(), Some(text("fixed:r:$BASE32").as_str()));
        assert!(seen.iter().all(|infos| *infos == seen[0]), "{seen:#?}");
        assert_eq!(parse(b"[]", &StoreDir::default()).expect("an empty array"), []);
    }

    #[test]
    fn says_what_is_wrong() {
        for (template, expected) in [
            ("", "not the JSON"),
            ("7", "expected an array or an object"),
            (r#"[{"narHash":"$SRI"}]"#, "expected an array or an object"),
            (r#"{"/nix/store/$A":null}"#, "app is not a valid path"),
            (r#"[{"path":"/nix/store/$A","valid":false}]"#, "app is not a valid path"),
            (r#"{"version":9,"info":{}}"#, "format 9 is not known"),
            (r#"{"version":2,"storeDir":"/gnu/store","info":{}}"#, "the store \"/gnu/store\""),
            (r#"{"version":2}"#, "expected an array or an object"),
            (r#"{"/etc/passwd":{"narHash":"$SRI","narSize":1}}"#, "bad store path"),
            (r#"{"$A":{"narHash":"md5:00","narSize":1}}"#, "has the NAR hash md5:00"),
            (
                r#"{"$A":{"narHash":"$SRI","narSize":18446744073709551615}}"#,
                "has a NAR of 18446744073709551615",
            ),
            (r#"{"$A":{"narHash":"$SRI","narSize":-1}}"#, "not the JSON"),
            (r#"{"$A":{"narHash":"$SRI","narSize":1,"references":["x"]}}"#, "bad store path"),
        ] {
            let error = parse(text(template).as_bytes(), &StoreDir::default()).expect_err(template);
            assert!(error.to_string().contains(expected), "{template}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
            drop(parse(&bytes, &StoreDir::default()));
        }

        #[test]
        fn never_panics_on_json(template in r#"[\[{]("(path|narHash|narSize|info|version|\$A|\$SRI|ca)"|[:,\[\]{}0-9]|null){0,40}"#) {
            drop(parse(text(&template).as_bytes(), &StoreDir::default()));
        }
    }
}
