//! Keeping logins: written where podman and docker read them, or handed to the helper that is configured.
//!
//! A file is replaced whole by a rename, mode 0600, and every field that floe does not know stays. A link is
//! followed, so that a login file kept elsewhere is replaced there.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::auth_file::{AuthFile, HUB_KEY, helper_keys, host_names, is_key_of};
use super::helper::{Helper, HelperError};
use super::lookup::{CredentialSources, files, is_absent};
use super::secret::Secret;

/// Where a login was kept or forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginPlace {
    /// A login file.
    File(PathBuf),
    /// A credential helper, named without `docker-credential-`.
    Helper(String),
}

/// A login could not be kept or forgotten.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Neither `HOME` nor a login file is known.
    #[error("there is no place for the login: expected HOME, DOCKER_CONFIG or REGISTRY_AUTH_FILE")]
    NoPlace,
    /// A login file is not JSON of the expected form; writing it anew would lose other logins.
    #[error("'{}' is not a login file: expected a JSON object", .0.display())]
    Malformed(PathBuf),
    /// A login file cannot be read or written.
    #[error("cannot {action} '{}'", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The credential helper failed.
    #[error("cannot use the credential helper for '{host}'")]
    Helper {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: HelperError,
    },
}

/// Keeps a login for a host: in the login file given, else in Docker's, which podman reads too; through a helper
/// where the file names one. An older login for the host in podman's own files is replaced as well.
///
/// # Errors
/// [`StoreError`].
pub fn login(
    sources: &CredentialSources,
    host: &str,
    username: &str,
    password: &Secret,
) -> Result<LoginPlace, StoreError> {
    let path = login_file(sources).ok_or(StoreError::NoPlace)?;
    for (other, legacy) in files(sources) {
        if other != path && !legacy {
            let mut document = Document::read(&other)?;
            if document.holds(host) {
                document.keep(host, username, password);
                document.write()?;
            }
        }
    }
    let mut document = Document::read(&path)?;
    if let Some(name) = document.helper(host)? {
        let helper = Helper { name: &name, search_path: sources.environment.search_path.as_ref() };
        helper
            .store(file_key(host), username, password)
            .map_err(|source| StoreError::Helper { host: host.to_owned(), source })?;
        // Docker lists the hosts whose logins a helper holds as empty entries.
        document.forget(host);
        document.auths().insert(file_key(host).to_owned(), json!({}));
        document.write()?;
        return Ok(LoginPlace::Helper(name));
    }
    document.keep(host, username, password);
    document.write()?;
    Ok(LoginPlace::File(path))
}

/// Forgets every login for a host, in every file that would be read and in their helpers.
///
/// Returns the places where there was one; empty when nobody was logged in.
///
/// # Errors
/// [`StoreError`].
pub fn logout(sources: &CredentialSources, host: &str) -> Result<Vec<LoginPlace>, StoreError> {
    let mut places = Vec::new();
    for (path, legacy) in files(sources) {
        if legacy {
            continue;
        }
        let mut document = Document::read(&path)?;
        if let Some(name) = document.helper(host)? {
            let helper = Helper { name: &name, search_path: sources.environment.search_path.as_ref() };
            let mut erased = false;
            for key in helper_keys(host) {
                let known = helper
                    .find(key)
                    .map_err(|source| StoreError::Helper { host: host.to_owned(), source })?
                    .is_some();
                if known {
                    erased |= helper
                        .erase(key)
                        .map_err(|source| StoreError::Helper { host: host.to_owned(), source })?;
                }
            }
            if erased {
                places.push(LoginPlace::Helper(name));
            }
        }
        if document.forget(host) {
            document.write()?;
            places.push(LoginPlace::File(path));
        }
    }
    Ok(places)
}

/// The file that a login is written to.
fn login_file(sources: &CredentialSources) -> Option<PathBuf> {
    let environment = &sources.environment;
    let given = sources.auth_file.clone().or_else(|| environment.registry_auth_file.clone());
    given.or_else(|| environment.docker_file())
}

/// The key that both podman and docker find a host's login under.
fn file_key(host: &str) -> &str {
    if host_names(host).len() > 1 { HUB_KEY } else { host }
}

/// A login file as a JSON object, whole.
struct Document {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl Document {
    fn read(path: &Path) -> Result<Self, StoreError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => String::new(),
            Err(source) => {
                return Err(StoreError::File { action: "read", path: path.to_owned(), source });
            }
        };
        let fields = if text.trim().is_empty() {
            Map::new()
        } else {
            serde_json::from_str(&text).map_err(|_| StoreError::Malformed(path.to_owned()))?
        };
        if fields.get("auths").is_some_and(|auths| !auths.is_object() && !auths.is_null()) {
            return Err(StoreError::Malformed(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), fields })
    }

    fn helper(&self, host: &str) -> Result<Option<String>, StoreError> {
        let file: AuthFile = serde_json::from_value(Value::Object(self.fields.clone()))
            .map_err(|_| StoreError::Malformed(self.path.clone()))?;
        Ok(file.host_helper(host).or_else(|| file.default_helper()).map(str::to_owned))
    }

    fn auths(&mut self) -> &mut Map<String, Value> {
        let auths = self.fields.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths.as_object_mut().expect("it was made an object just now")
    }

    fn holds(&self, host: &str) -> bool {
        let auths = self.fields.get("auths").and_then(Value::as_object);
        auths.is_some_and(|auths| auths.keys().any(|key| is_key_of(key, host)))
    }

    /// Replaces the host's entry under every name it may have.
    fn keep(&mut self, host: &str, username: &str, password: &Secret) {
        self.forget(host);
        let auth = STANDARD.encode(format!("{username}:{}", password.reveal()));
        self.auths().insert(file_key(host).to_owned(), json!({ "auth": auth }));
    }

    /// Removes the host's entries, but not those of namespaces below it; true when there was one.
    fn forget(&mut self, host: &str) -> bool {
        if !self.holds(host) {
            return false;
        }
        self.auths().retain(|key, _| !is_key_of(key, host));
        true
    }

    fn write(&self) -> Result<(), StoreError> {
        let failure = |source| StoreError::File { action: "write", path: self.path.clone(), source };
        let target = match fs::canonicalize(&self.path) {
            Ok(target) => target,
            Err(error) if is_absent(&error) => self.path.clone(),
            Err(source) => return Err(failure(source)),
        };
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failure)?;
        let mut text = serde_json::to_vec_pretty(&self.fields).expect("JSON can be written as JSON");
        text.push(b'\n');
        // A named temporary file has mode 0600 from its creation on.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failure)?;
        file.write_all(&text).map_err(failure)?;
        file.as_file().sync_all().map_err(failure)?;
        file.persist(&target).map_err(|error| failure(error.error))?;
        Ok(())
    }
}
