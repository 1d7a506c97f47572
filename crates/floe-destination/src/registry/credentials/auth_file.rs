//! One login file: which of its entries is for a repository.
//!
//! Formats: containers-auth.json(5), Docker's `config.json`, and `.dockercfg`, which is the inner table alone.
//! JSON text comes in; the best `Entry` for a host and repository goes out. No I/O.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::secret::{Credential, Secret, TOKEN_USER};

/// Docker Hub's API host has three names, and its logins are filed under a fourth, which is a URL.
pub(super) const HUB_KEY: &str = "https://index.docker.io/v1/";
const HUB_HOSTS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Some tools write the base64 without its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A login file's content, as far as floe reads it.
#[derive(Default, Deserialize)]
pub(super) struct AuthFile {
    #[serde(default)]
    auths: Option<BTreeMap<String, Option<RawEntry>>>,
    #[serde(default, rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

/// One value of `auths`; no `Debug`, since it holds secrets.
#[derive(Default, Deserialize)]
struct RawEntry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default, rename = "identitytoken")]
    identity_token: Option<String>,
    #[serde(default, rename = "registrytoken")]
    registry_token: Option<String>,
}

/// An entry's `auth` that is not base64 of `user:password`; the text itself is never shown.
#[derive(Debug, thiserror::Error)]
#[error("the entry '{key}' holds no user:password in base64")]
pub struct MalformedEntry {
    /// The entry's key in `auths`.
    pub(super) key: String,
}

/// Whether a host is Docker Hub, by any of its names.
pub(super) fn is_hub(host: &str) -> bool {
    HUB_HOSTS.contains(&host)
}

/// The names that a host's logins may be filed under, the host itself first.
pub(super) fn host_names(host: &str) -> Vec<&str> {
    let mut names = vec![host];
    if is_hub(host) {
        names.extend(HUB_HOSTS.iter().copied().filter(|name| *name != host));
    }
    names
}

/// What a credential helper is asked for: Docker files the Hub's logins under its URL.
pub(super) fn helper_keys(host: &str) -> Vec<&str> {
    let mut keys = host_names(host);
    if is_hub(host) {
        keys.insert(0, HUB_KEY);
    }
    keys
}

/// Whether a key of `auths` stands for this host as a whole.
fn is_key_of(key: &str, host: &str) -> bool {
    host_names(host).contains(&normalise(key))
}

impl AuthFile {
    /// Reads a file with an `auths` table, or a `.dockercfg`, which has none.
    pub(super) fn parse(text: &str, legacy: bool) -> Result<Self, serde_json::Error> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        if legacy {
            return Ok(Self { auths: Some(serde_json::from_str(text)?), ..Self::default() });
        }
        serde_json::from_str(text)
    }

    /// The helper that holds this one host's logins.
    pub(super) fn host_helper(&self, host: &str) -> Option<&str> {
        let helpers = self.helpers.as_ref()?;
        let by_name = host_names(host).into_iter().find_map(|name| helpers.get(name));
        let hub = || helpers.get(HUB_KEY).filter(|_| is_hub(host));
        by_name.or_else(hub).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The helper that holds every other login.
    pub(super) fn default_helper(&self) -> Option<&str> {
        self.store.as_deref().filter(|name| !name.is_empty())
    }

    /// The hosts that have a helper of their own, with its name.
    pub(super) fn host_helpers(&self) -> impl Iterator<Item = (&str, &str)> {
        let helpers = self.helpers.iter().flatten().filter(|(_, name)| !name.is_empty());
        helpers.map(|(host, name)| (host.as_str(), name.as_str()))
    }

    /// All keys with what they hold; `None` for an empty entry.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, Result<Option<Credential>, MalformedEntry>)> {
        let entries = self.auths.iter().flatten().filter_map(|(key, entry)| Some((key, entry.as_ref()?)));
        entries.map(|(key, entry)| (key.as_str(), entry.credential(key)))
    }

    /// The entry with the longest matching path; an empty entry counts as absent.
    pub(super) fn entry(&self, host: &str, repository: &str) -> Result<Option<Credential>, MalformedEntry> {
        let Some(auths) = &self.auths else { return Ok(None) };
        for key in exact_keys(host, repository) {
            if let Some(Some(entry)) = auths.get(&key)
                && let Some(credential) = entry.credential(&key)?
            {
                return Ok(Some(credential));
            }
        }
        for (key, entry) in auths {
            if let Some(entry) = entry
                && is_key_of(key, host)
                && let Some(credential) = entry.credential(key)?
            {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }
}

/// `h/a/b/c`, `h/a/b`, `h/a`, `h`.
fn exact_keys(host: &str, repository: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut path = repository;
    while !path.is_empty() {
        keys.extend(host_names(host).into_iter().map(|name| format!("{name}/{path}")));
        path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    keys.extend(host_names(host).into_iter().map(str::to_owned));
    keys
}

/// Strips a scheme and, behind one, the path; a key without a scheme may be a namespace and stays.
///
/// Source: containers/image, `normalizeAuthFileKey`.
pub(super) fn normalise(key: &str) -> &str {
    match key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) {
        Some(rest) => rest.split('/').next().unwrap_or(rest),
        None => key,
    }
}

impl RawEntry {
    fn credential(&self, key: &str) -> Result<Option<Credential>, MalformedEntry> {
        let is_given = |text: &&String| !text.is_empty();
        let malformed = || MalformedEntry { key: key.to_owned() };
        let (mut username, mut password) = (self.username.clone(), self.password.clone());
        if let Some(auth) = self.auth.as_ref().filter(is_given) {
            let bytes = LENIENT.decode(auth.trim()).map_err(|_| malformed())?;
            let text = String::from_utf8(bytes).map_err(|_| malformed())?;
            let (user, secret) = text.split_once(':').ok_or_else(malformed)?;
            username = Some(user.to_owned());
            // Docker on Windows padded passwords with NULs.
            password = Some(secret.trim_matches('\0').to_owned());
        }
        let username = username.filter(|name| !name.is_empty());
        if let Some(token) = self.identity_token.as_ref().filter(is_given) {
            return Ok(Some(Credential::IdentityToken { username, token: Secret::new(token) }));
        }
        if let Some(token) = self.registry_token.as_ref().filter(is_given) {
            return Ok(Some(Credential::RegistryToken(Secret::new(token))));
        }
        Ok(match (username, password) {
            (Some(username), Some(password)) if username == TOKEN_USER => {
                Some(Credential::IdentityToken { username: None, token: Secret::new(password) })
            }
            (Some(username), Some(password)) => Some(Credential::password(username, password)),
            _ => None,
        })
    }
}
