//! What a login is for: a registry, or a namespace in one.
//!
//! `registry.example.com:5000` or `registry.example.com/team`, as containers-auth.json(5) has its keys. A URL is taken
//! for its host, since Docker files the Hub's logins under one.

use std::fmt;
use std::str::FromStr;

use floe_image::oci::Reference;

use super::auth_file::{HUB_KEY, host_names, is_hub, normalise};

/// A registry, or a namespace in one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoginName {
    host: String,
    namespace: Option<String>,
}

/// A text that is no registry.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is not a registry: expected a host such as registry.example.com, localhost:5000 or docker.io, or one with a \
     namespace such as registry.example.com/team"
)]
pub struct ParseLoginNameError(String);

impl LoginName {
    /// The registry's host with its port; `docker.io` for each of the Hub's names.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository, or the beginning of several, that the login is for; `None` for the whole registry.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The key of `auths` under which both podman and docker find the login.
    pub(super) fn file_key(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{}/{namespace}", self.host),
            None if is_hub(&self.host) => HUB_KEY.to_owned(),
            None => self.host.clone(),
        }
    }

    /// Whether a key of `auths` stands for exactly this.
    pub(super) fn is_key(&self, key: &str) -> bool {
        let key = normalise(key);
        let (host, namespace) = match key.split_once('/') {
            Some((host, namespace)) => (host, Some(namespace)),
            None => (key, None),
        };
        host_names(&self.host).contains(&host) && namespace == self.namespace()
    }
}

impl FromStr for LoginName {
    type Err = ParseLoginNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseLoginNameError(text.to_owned());
        let name = normalise(text).trim_end_matches('/');
        // Any repository below it must make a reference on just this host.
        let reference: Reference = format!("{name}/a/b").parse().map_err(|_| error())?;
        let host = name.split('/').next().unwrap_or_default();
        if !host_names(reference.host()).contains(&host) {
            return Err(error());
        }
        let namespace = reference.repository().strip_suffix("/a/b").map(str::to_owned);
        Ok(Self { host: reference.host().to_owned(), namespace })
    }
}

impl fmt::Display for LoginName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.host)?;
        self.namespace.as_ref().map_or(Ok(()), |namespace| write!(formatter, "/{namespace}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_registries_and_namespaces() {
        for (text, name, key) in [
            ("r.example", "r.example", "r.example"),
            ("r.example:5000/", "r.example:5000", "r.example:5000"),
            ("[::1]:5000", "[::1]:5000", "[::1]:5000"),
            ("localhost", "localhost", "localhost"),
            ("https://r.example/v2/", "r.example", "r.example"),
            ("r.example/team/app", "r.example/team/app", "r.example/team/app"),
            ("docker.io", "docker.io", HUB_KEY),
            ("https://index.docker.io/v1/", "docker.io", HUB_KEY),
            ("registry-1.docker.io", "docker.io", HUB_KEY),
            ("docker.io/team", "docker.io/team", "docker.io/team"),
        ] {
            let parsed: LoginName = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((parsed.to_string().as_str(), parsed.file_key().as_str()), (name, key));
            assert!(parsed.is_key(&parsed.file_key()), "{text}");
        }
        for text in ["", "/", "registry", "team/app", "r.example/Team", "r.example/app:1", "r example", "-u"]
        {
            assert!(text.parse::<LoginName>().is_err(), "{text}");
        }
    }

    #[test]
    fn knows_the_keys_of_its_logins() {
        let hub: LoginName = "docker.io".parse().expect("a registry");
        for key in ["docker.io", "index.docker.io", HUB_KEY, "https://registry-1.docker.io/v2/"] {
            assert!(hub.is_key(key), "{key}");
        }
        let team: LoginName = "r.example/team".parse().expect("a namespace");
        assert!(team.is_key("r.example/team"));
        for key in ["r.example", "r.example/team/app", "https://r.example/team", "docker.io/team"] {
            assert!(!team.is_key(key) && !hub.is_key(key), "{key}");
        }
    }
}
