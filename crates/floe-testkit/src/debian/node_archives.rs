//! Node 22 and npm for the package set: the archives that `nix/node.nix` makes packages of.
//!
//! Debian 12 has Node 18, which today's build tools for web pages refuse. The npm registry carries Node's own builds for both
//! systems.

use serde_json::Value;

use crate::machine::{NpmError, nix_command, npm_archive, run};

use super::closures::ClosureError;
use super::nix_text::NODE_PINS;

/// Fetches Node's archives for all systems of the set, and npm's, and adds them to the Nix store.
///
/// # Errors
///
/// When npm is missing, the registry cannot be reached, or Nix does not take the files.
pub(super) fn add_node_archives() -> Result<(), ClosureError> {
    let pins: Value = serde_json::from_str(NODE_PINS).expect("the pins are JSON");
    let text = |value: &Value| value.as_str().expect("a pin is a text").to_owned();
    let version = text(&pins["version"]);
    let archives = pins["archives"].as_object().expect("the pins have archives").values();
    let mut wanted: Vec<(String, String)> =
        archives.map(|archive| (text(&archive["package"]), version.clone())).collect();
    wanted.push(("npm".to_owned(), text(&pins["npm"]["version"])));

    let fetch = |(package, version): &(String, String)| npm_archive(package, version);
    let files = wanted.iter().map(fetch).collect::<Result<Vec<_>, NpmError>>();
    let files = files.map_err(|source| ClosureError::Npm { source })?;
    run(nix_command("nix-store").args(["--add-fixed", "sha256"]).args(files))
        .map_err(|source| ClosureError::Build { name: "node-22".to_owned(), source })
}
