//! The Nix of this machine: its version and its settings, asked of its own program.

use std::process::Command;

use crate::Store;
use crate::program::{self, RunNixError, StandardError};

/// What `nix.conf` and the environment come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NixSettings {
    /// `experimental-features`, such as `flakes`.
    pub experimental_features: Vec<String>,
    /// `substituters`: the binary caches, by URL.
    pub substituters: Vec<String>,
}

/// Asks `nix` for its version: `2.8.0`. Starts a program.
///
/// # Errors
/// When it is not installed, or fails.
pub fn version(store: &Store) -> Result<String, RunNixError> {
    let mut command = Command::new(store.nix());
    let output = program::run(command.arg("--version"), StandardError::Lines(&mut |_| {}))?;
    // `nix (Nix) 2.8.0`, where the word in parentheses may name a fork.
    let text = String::from_utf8_lossy(&output);
    Ok(text.split_whitespace().next_back().unwrap_or_default().to_owned())
}

/// Asks `nix` for its settings, as this user has them. Starts programs.
///
/// # Errors
/// When it is not installed, or fails.
pub fn settings(store: &Store) -> Result<NixSettings, RunNixError> {
    // `config show` since Nix 2.20, where `show-config` is still understood; it may go.
    let ask = |options: &[&str]| {
        ask(store, options, &["show-config"]).or_else(|_| ask(store, options, &["config", "show"]))
    };
    match ask(&[]) {
        Ok(text) => Ok(parse_settings(&text)),
        Err(error @ RunNixError::NotInstalled { .. }) => Err(error),
        // The command that tells is itself an experimental feature, which may be off.
        Err(_) => {
            let mut settings = parse_settings(&ask(&["--extra-experimental-features", "nix-command"])?);
            settings.experimental_features.retain(|feature| feature != "nix-command");
            Ok(settings)
        }
    }
}

fn ask(store: &Store, options: &[&str], words: &[&str]) -> Result<String, RunNixError> {
    let mut command = Command::new(store.nix());
    let output = program::run(command.args(words).args(options), StandardError::Lines(&mut |_| {}))?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// Reads `name = words` of each line. Nix 2.8 writes features as numbers in JSON, and as words only here.
fn parse_settings(text: &str) -> NixSettings {
    let words = |name: &str| {
        let settings = text.lines().filter_map(|line| line.split_once('='));
        let mut found = settings.filter(|(key, _)| key.trim() == name).map(|(_, value)| value);
        found.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    NixSettings { experimental_features: words("experimental-features"), substituters: words("substituters") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_settings() {
        let settings = parse_settings(
            "cores = 0\nexperimental-features = flakes nix-command\n\
             extra-substituters = \nsubstituters = https://cache.example.org file:///srv/cache?trusted=1\n",
        );
        assert_eq!(settings.experimental_features, ["flakes", "nix-command"]);
        assert_eq!(settings.substituters, ["https://cache.example.org", "file:///srv/cache?trusted=1"]);
        assert_eq!(parse_settings("substituters = \n"), NixSettings::default());
    }

    #[test]
    fn says_when_nix_is_not_there() {
        let store = Store::new(crate::StoreConfig::default()).with_nix("no-such-program-anywhere");
        assert!(matches!(version(&store), Err(RunNixError::NotInstalled { .. })));
        assert!(matches!(settings(&store), Err(RunNixError::NotInstalled { .. })));
    }
}
