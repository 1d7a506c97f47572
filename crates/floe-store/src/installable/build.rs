//! Building an installable: Nix does the work (`nix build`), and its progress stays visible. On a terminal Nix draws it
//! itself, elsewhere each line is passed on.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::program::{self, RunNixError, StandardError};
use crate::{ParseStorePathError, Store, StoreDir, StorePath};

/// The beginnings of a flake reference that is a URL (Nix manual, "Flake references").
const FLAKE_SCHEMES: [&str; 15] = [
    "path:",
    "flake:",
    "github:",
    "gitlab:",
    "sourcehut:",
    "indirect:",
    "git:",
    "git+",
    "hg+",
    "tarball:",
    "tarball+",
    "file:",
    "file+",
    "http://",
    "https://",
];

/// Where the progress of a build goes.
pub enum Progress<'a> {
    /// To this process's standard error; for a terminal, where Nix draws a status line.
    Inherited,
    /// To a function, line by line, with the build's log (`-L`).
    Lines(&'a mut dyn FnMut(&str)),
}

impl fmt::Debug for Progress<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Inherited => "Inherited",
            Self::Lines(_) => "Lines",
        })
    }
}

/// Why an installable gave no store paths.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nix is not installed, or the build failed; the last lines it wrote are kept.
    #[error("cannot build {installable}")]
    Run {
        /// The installable.
        installable: String,
        /// How Nix ended.
        #[source]
        source: RunNixError,
    },
    /// Nix printed something else than what `nix build --json` is known to print.
    #[error("cannot read what nix build --json printed for {installable}")]
    Json {
        /// The installable.
        installable: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Nix printed something else than store paths.
    #[error("nix build --json printed an output of {installable} that is no store path")]
    Output {
        /// The installable.
        installable: String,
        /// What is wrong with it.
        #[source]
        source: ParseStorePathError,
    },
    /// The installable has no outputs in the store.
    #[error("{installable} has no output in the store")]
    NoOutputs {
        /// The installable.
        installable: String,
    },
}

/// Whether a text names something to build rather than a path: it holds a `#` or begins with a flake's scheme.
#[must_use]
pub fn is_installable(text: &str) -> bool {
    text.contains('#') || FLAKE_SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

/// Builds an installable with `nix build --no-link` and returns its outputs, sorted by output name, without duplicates.
///
/// `extra_arguments` stand before the installable: `--override-input`, `--impure`, `--offline`, …
///
/// # Errors
/// When Nix is not installed, the build fails, or there is no output.
pub fn build(
    store: &Store,
    installable: &str,
    extra_arguments: &[OsString],
    progress: Progress<'_>,
) -> Result<Vec<StorePath>, BuildError> {
    let mut command = nix(store, &["build", "--no-link", "--json"]);
    let standard_error = match progress {
        Progress::Inherited => StandardError::Inherited,
        Progress::Lines(show) => {
            command.arg("--print-build-logs");
            StandardError::Lines(show)
        }
    };
    command.args(extra_arguments).args(["--", installable]);
    let output = program::run(&mut command, standard_error)
        .map_err(|source| BuildError::Run { installable: installable.to_owned(), source })?;
    parse_outputs(&output, installable, store.store_dir())
}

/// Parses what `nix build --json` prints: for each thing built its outputs, or its path when nothing was to be built.
///
/// `--print-out-paths` would be simpler and is too new: Nix 2.8 does not have it.
fn parse_outputs(
    bytes: &[u8],
    installable: &str,
    store_dir: &StoreDir,
) -> Result<Vec<StorePath>, BuildError> {
    let built: Vec<Built> = serde_json::from_slice(bytes)
        .map_err(|source| BuildError::Json { installable: installable.to_owned(), source })?;
    let mut paths: Vec<StorePath> = Vec::new();
    for full_path in built.into_iter().flat_map(Built::paths) {
        let path = store_dir
            .parse(&full_path)
            .map_err(|source| BuildError::Output { installable: installable.to_owned(), source })?;
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(BuildError::NoOutputs { installable: installable.to_owned() });
    }
    Ok(paths)
}

/// One thing that was built (Nix `built-path.cc`, `toJSON`).
#[derive(Deserialize)]
#[serde(untagged)]
enum Built {
    Path(String),
    Derivation { outputs: BTreeMap<String, String> },
    Opaque { path: String },
}

impl Built {
    fn paths(self) -> Vec<String> {
        match self {
            Self::Path(path) | Self::Opaque { path } => vec![path],
            Self::Derivation { outputs } => outputs.into_values().collect(),
        }
    }
}

/// Asks Nix when an installable's flake was last changed, in seconds since 1970 (`nix flake metadata`).
///
/// `None` when Nix does not know it: no flake, a dirty tree without a date, or Nix is not there. The build tells why.
#[must_use]
pub fn flake_last_modified(store: &Store, installable: &str, extra_arguments: &[OsString]) -> Option<i64> {
    let flake = installable.split('#').next().filter(|flake| !flake.is_empty()).unwrap_or(".");
    let mut command = nix(store, &["flake", "metadata", "--json"]);
    command.args(extra_arguments).args(["--", flake]);
    let output = program::run(&mut command, StandardError::Lines(&mut |_| {})).ok()?;
    let metadata: Value = serde_json::from_slice(&output).ok()?;
    metadata.get("lastModified")?.as_i64()
}

/// The `nix` program for a store, with the experimental features that its newer commands ask for.
pub(super) fn nix(store: &Store, subcommand: &[&str]) -> Command {
    let mut command = Command::new(store.nix());
    command.args(subcommand).args(["--extra-experimental-features", "nix-command flakes"]);
    if let Some(argument) = store.nix_store_argument() {
        command.args(["--store", &argument]);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreConfig;

    #[test]
    fn tells_installables_from_paths() {
        for text in [
            ".#app",
            "nixpkgs#hello",
            "path:./x",
            "github:o/r",
            "git+ssh://host/r",
            "#x",
            "https://h/a.tar.gz",
        ] {
            assert!(is_installable(text), "{text}");
        }
        for text in ["./result", "/nix/store/x", ".", "result", "aaaa-app", ""] {
            assert!(!is_installable(text), "{text}");
        }
    }

    #[test]
    fn reads_what_was_built() {
        let [app, doc] = ["app", "app-doc"].map(|name| format!("/nix/store/{}-{name}", "a".repeat(32)));
        let names = |text: &str| {
            let paths = parse_outputs(text.as_bytes(), "x", &StoreDir::default())?;
            Ok::<_, BuildError>(paths.iter().map(|path| path.name().to_owned()).collect::<Vec<_>>())
        };
        for (text, expected) in [
            (
                format!(r#"[{{"drvPath":"/x","outputs":{{"doc":"{doc}","out":"{app}"}}}}]"#),
                vec!["app-doc", "app"],
            ),
            (format!(r#"[{{"path":"{app}"}},"{doc}","{app}"]"#), vec!["app", "app-doc"]),
        ] {
            assert_eq!(names(&text).expect("outputs"), expected, "{text}");
        }
        assert!(matches!(names("{}"), Err(BuildError::Json { .. })));
        assert!(matches!(names("[]"), Err(BuildError::NoOutputs { .. })));
        assert!(matches!(names(r#"["/etc/passwd"]"#), Err(BuildError::Output { .. })));
    }

    #[test]
    fn says_when_nix_is_not_there() {
        let store = Store::new(StoreConfig::default()).with_nix("no-such-program-anywhere");
        let error = build(&store, ".#app", &[], Progress::Inherited).expect_err("no Nix");
        assert!(matches!(error, BuildError::Run { source: RunNixError::NotInstalled { .. }, .. }));
        assert_eq!(flake_last_modified(&store, ".#app", &[]), None);
    }
}
