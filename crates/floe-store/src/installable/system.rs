//! Which attribute of a flake an installable means for a system: `.#app` is `.#packages.aarch64-linux.app`.
//!
//! `nix build --system` would look there too, but then takes this machine for one of that system and runs the other's
//! builders here. An attribute that names its system leaves the build to whoever can do it: a substituter, a remote
//! builder, an emulator (Nix manual, "nix build"; Nix `installables.cc`, `getDefaultFlakeAttrPaths`).

use std::ffi::OsString;

use super::build::nix;
use crate::program::{self, RunNixError, StandardError};
use crate::{Store, System};

/// The outputs of a flake in which `nix build` looks, each with a set for each system.
const SETS: [&str; 2] = ["packages", "legacyPackages"];

/// Outputs of a flake that an attribute may begin with; such an attribute is whole already.
const WHOLE: [&str; 8] = [
    "packages",
    "legacyPackages",
    "checks",
    "apps",
    "devShells",
    "hydraJobs",
    "nixosConfigurations",
    "darwinConfigurations",
];

/// What is built where an installable names no attribute.
const DEFAULT: &str = "default";

/// Why an installable means nothing for a system.
#[derive(Debug, thiserror::Error)]
pub enum ForSystemError {
    /// The flake does not have the attribute for the system.
    #[error("{installable} is not there for {system}: expected packages.{system}.{attribute} in the flake")]
    Absent {
        /// The installable.
        installable: String,
        /// The system.
        system: System,
        /// The attribute that was looked for.
        attribute: String,
    },
    /// The attribute names another system itself.
    #[error("{installable} names its system itself: expected one for {system}")]
    OtherSystem {
        /// The installable.
        installable: String,
        /// The system.
        system: System,
    },
    /// Nix is not installed, or cannot evaluate the flake.
    #[error("cannot look up {installable} for {system}")]
    Run {
        /// The installable.
        installable: String,
        /// The system.
        system: System,
        /// How Nix ended.
        #[source]
        source: RunNixError,
    },
}

/// The installable that names what another one means for a system. Evaluates the flake, builds nothing.
///
/// `extra_arguments` are those of [`build`](super::build()).
///
/// # Errors
/// When the flake has no such attribute for the system, or cannot be evaluated.
pub fn for_system(
    store: &Store,
    installable: &str,
    system: &System,
    extra_arguments: &[OsString],
) -> Result<String, ForSystemError> {
    let (named, outputs) = match installable.split_once('^') {
        Some((named, outputs)) => (named, format!("^{outputs}")),
        None => (installable, String::new()),
    };
    let (flake, attribute) = named.split_once('#').unwrap_or((named, ""));
    let attribute = if attribute.is_empty() { DEFAULT } else { attribute };
    let mut parts = attribute.split('.');
    if parts.next().is_some_and(|first| WHOLE.contains(&first)) {
        let other = parts.next().and_then(|second| second.parse::<System>().ok());
        return match other {
            Some(other) if other != *system => Err(ForSystemError::OtherSystem {
                installable: installable.to_owned(),
                system: system.clone(),
            }),
            _ => Ok(installable.to_owned()),
        };
    }
    for set in SETS {
        let found = has(store, &format!("{flake}#{set}.{system}"), attribute, extra_arguments);
        let found = found.map_err(|source| ForSystemError::Run {
            installable: installable.to_owned(),
            system: system.clone(),
            source,
        })?;
        if found {
            return Ok(format!("{flake}#{set}.{system}.{attribute}{outputs}"));
        }
    }
    Err(ForSystemError::Absent {
        installable: installable.to_owned(),
        system: system.clone(),
        attribute: attribute.to_owned(),
    })
}

/// Whether a flake has a set, and an attribute in it.
fn has(store: &Store, set: &str, attribute: &str, extra_arguments: &[OsString]) -> Result<bool, RunNixError> {
    let mut command = nix(store, &["eval", "--json"]);
    command.args(extra_arguments).arg("--apply").arg(format!("set: set ? {}", quoted(attribute)));
    command.args(["--", set]);
    match program::run(&mut command, StandardError::Lines(&mut |_| {})) {
        Ok(answer) => Ok(answer.trim_ascii() == b"true"),
        Err(RunNixError::Failed { last_lines, .. })
            if last_lines.iter().any(|line| line.contains("does not provide attribute")) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// An attribute path with each part in quotes, so that it stands for names alone whatever is in it.
fn quoted(attribute: &str) -> String {
    let quote = |part: &str| format!("{:?}", part.trim_matches('"').replace("${", "$ {"));
    attribute.split('.').map(quote).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreConfig;

    #[test]
    fn leaves_whole_attributes_alone() {
        let store = Store::new(StoreConfig::default()).with_nix("no-such-program-anywhere");
        let system: System = "aarch64-linux".parse().expect("a system");
        for whole in
            [".#packages.aarch64-linux.app", ".#nixosConfigurations.host.config.system.build.toplevel"]
        {
            assert_eq!(for_system(&store, whole, &system, &[]).expect("it is whole"), whole);
        }
        let other =
            for_system(&store, ".#checks.x86_64-linux.app", &system, &[]).expect_err("another system");
        assert!(matches!(other, ForSystemError::OtherSystem { .. }), "{other}");
        let error = for_system(&store, ".#app", &system, &[]).expect_err("no Nix");
        assert!(
            matches!(error, ForSystemError::Run { source: RunNixError::NotInstalled { .. }, .. }),
            "{error}"
        );
    }

    #[test]
    fn quotes_attribute_paths() {
        for (attribute, expected) in [
            ("app", r#""app""#),
            ("py3.foo", r#""py3"."foo""#),
            (r#"a"b"#, r#""a\"b""#),
            ("${x}", r#""$ {x}""#),
        ] {
            assert_eq!(quoted(attribute), expected, "{attribute}");
        }
    }
}
