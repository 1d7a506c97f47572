//! Who is logged in where: every login that would be found, without its secret.

use std::collections::BTreeMap;
use std::fs;

use super::auth_file::{AuthFile, helper_keys, is_hub, normalise};
use super::helper::Helper;
use super::lookup::{CredentialError, CredentialSources, files, is_absent, parse};
use super::secret::Credential;
use super::store::LoginPlace;

/// A login that is kept somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The registry, or the namespace in one.
    pub registry: String,
    /// The user; `None` for a token that names nobody.
    pub username: Option<String>,
    /// Where it is kept.
    pub place: LoginPlace,
}

/// Lists the logins of all sources, sorted by registry; of several for one registry the one that is used.
///
/// Reads files and runs the credential helpers that they name.
///
/// # Errors
/// [`CredentialError`], when a source that has to be asked cannot be.
pub fn logins(sources: &CredentialSources) -> Result<Vec<Login>, CredentialError> {
    let mut found = Found { sources, logins: BTreeMap::new() };
    if sources.auth_file.is_none()
        && let Some(text) = &sources.environment.docker_auth_config
    {
        const NAME: &str = "DOCKER_AUTH_CONFIG";
        found.add_file(&parse(text.reveal(), NAME, false)?, NAME, &LoginPlace::Variable(NAME))?;
    }
    for (path, legacy) in files(sources) {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => continue,
            Err(source) => return Err(CredentialError::Read { path, source }),
        };
        let origin = format!("'{}'", path.display());
        found.add_file(&parse(&text, &origin, legacy)?, &origin, &LoginPlace::File(path))?;
    }
    Ok(found.logins.into_values().collect())
}

struct Found<'a> {
    sources: &'a CredentialSources,
    logins: BTreeMap<String, Login>,
}

impl Found<'_> {
    /// Adds a file's logins, in the order in which a lookup asks: the hosts' helpers, the entries, the general helper.
    fn add_file(&mut self, file: &AuthFile, origin: &str, place: &LoginPlace) -> Result<(), CredentialError> {
        for (host, name) in file.host_helpers() {
            let helper = self.helper(name);
            let failure = |source| CredentialError::Helper { host: host.to_owned(), source };
            for key in helper_keys(normalise(host)) {
                if let Some(credential) = helper.find(key).map_err(failure)? {
                    self.add(host, username(credential), LoginPlace::Helper(name.to_owned()));
                    break;
                }
            }
        }
        for (key, credential) in file.entries() {
            let credential =
                credential.map_err(|source| CredentialError::Entry { origin: origin.to_owned(), source })?;
            if let Some(credential) = credential {
                self.add(key, username(credential), place.clone());
            }
        }
        if let Some(name) = file.default_helper() {
            let failure = |source| CredentialError::Helper { host: "every registry".to_owned(), source };
            for (key, username) in self.helper(name).list().map_err(failure)? {
                self.add(&key, Some(username), LoginPlace::Helper(name.to_owned()));
            }
        }
        Ok(())
    }

    fn helper<'b>(&'b self, name: &'b str) -> Helper<'b> {
        Helper { name, search_path: self.sources.environment.search_path.as_ref() }
    }

    /// Takes a login unless one that is used before it is there.
    fn add(&mut self, key: &str, username: Option<String>, place: LoginPlace) {
        let name = normalise(key);
        let registry = if is_hub(name) { "docker.io" } else { name }.to_owned();
        self.logins.entry(registry.clone()).or_insert(Login { registry, username, place });
    }
}

fn username(credential: Credential) -> Option<String> {
    match credential {
        Credential::Password { username, .. } => Some(username),
        Credential::IdentityToken { username, .. } => username,
        Credential::RegistryToken(_) | Credential::Anonymous => None,
    }
}
