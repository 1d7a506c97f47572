//! Keeping logins: written where podman and docker read them, or handed to the helper that is configured.
//!
//! A file is replaced whole by a rename, mode 0600, and its owner and every field that floe does not know stay. A link is
//! followed, so that a login file kept elsewhere is replaced there.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::auth_file::{AuthFile, helper_keys, normalise};
use super::helper::{Helper, HelperError};
use super::login_name::LoginName;
use super::lookup::{CredentialSources, files, is_absent};
use super::secret::Secret;

/// Where a login is kept, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginPlace {
    /// A variable of the environment, which floe only reads.
    Variable(&'static str),
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

/// Keeps a login: in the login file given, else in Docker's, which podman and skopeo read too; a namespace's, which
/// docker would take for the whole registry's, in podman's. Through a helper where the file names one for the registry.
///
/// An older login of the same name in another file that is read is replaced as well, so that nobody finds that one.
///
/// # Errors
/// [`StoreError`].
pub fn login(
    sources: &CredentialSources,
    name: &LoginName,
    username: &str,
    password: &Secret,
) -> Result<LoginPlace, StoreError> {
    let helpers = sources.environment.search_path.as_ref();
    let mut others = Vec::new();
    for (path, legacy) in files(sources) {
        let document = Document::read(&path, legacy)?;
        if document.holds(name) || document.is_known_to_helper(name, helpers)? {
            others.push(document);
        }
    }
    let path = match others.first() {
        // podman looks no further than the first file that holds anything for a repository.
        Some(first) if name.namespace().is_some() => first.path.clone(),
        _ => login_file(sources, name).ok_or(StoreError::NoPlace)?,
    };
    others.retain(|document| document.path != path);
    for mut document in others {
        document.keep(name, username, password, helpers)?;
    }
    Document::read(&path, false)?.keep(name, username, password, helpers)
}

/// Forgets a login in every file that would be read and in their helpers; a registry's namespaces keep their own.
///
/// Returns the places where there was one; empty when nobody was logged in.
///
/// # Errors
/// [`StoreError`].
pub fn logout(sources: &CredentialSources, name: &LoginName) -> Result<Vec<LoginPlace>, StoreError> {
    let helpers = sources.environment.search_path.as_ref();
    let mut places = Vec::new();
    for (path, legacy) in files(sources) {
        let mut document = Document::read(&path, legacy)?;
        if let Some(helper) = document.helper(name)? {
            let asked = Asked { name: &helper, helpers, host: name.host() };
            if asked.erase(&helper_keys(name.host()))? {
                places.push(LoginPlace::Helper(helper));
            }
        }
        if document.forget(name) {
            document.write()?;
            places.push(LoginPlace::File(path));
        }
    }
    Ok(places)
}

/// Forgets every login in every file that would be read and in their helpers.
///
/// Returns the places where there was one.
///
/// # Errors
/// [`StoreError`].
pub fn logout_all(sources: &CredentialSources) -> Result<Vec<LoginPlace>, StoreError> {
    let helpers = sources.environment.search_path.as_ref();
    let mut places = Vec::new();
    for (path, legacy) in files(sources) {
        let mut document = Document::read(&path, legacy)?;
        let file = document.parse()?;
        for (host, helper) in file.host_helpers() {
            let asked = Asked { name: helper, helpers, host };
            if asked.erase(&helper_keys(normalise(host)))? {
                places.push(LoginPlace::Helper(helper.to_owned()));
            }
        }
        if let Some(helper) = file.default_helper() {
            let asked = Asked { name: helper, helpers, host: "every registry" };
            let known = asked.helper().list().map_err(|source| asked.failure(source))?;
            if asked.erase(&known.keys().map(String::as_str).collect::<Vec<_>>())? {
                places.push(LoginPlace::Helper(helper.to_owned()));
            }
        }
        if !document.auths().is_empty() {
            document.auths().clear();
            document.write()?;
            places.push(LoginPlace::File(path));
        }
    }
    places.dedup();
    Ok(places)
}

/// The file that a login is written to.
fn login_file(sources: &CredentialSources, name: &LoginName) -> Option<PathBuf> {
    let environment = &sources.environment;
    let given = sources.auth_file.clone().or_else(|| environment.registry_auth_file.clone());
    given.or_else(|| match name.namespace() {
        Some(_) if environment.docker_config.is_none() => environment.podman_files().pop(),
        _ => environment.docker_file(),
    })
}

/// A helper that is asked on behalf of a host, which its errors name.
struct Asked<'a> {
    name: &'a str,
    helpers: Option<&'a OsString>,
    host: &'a str,
}

impl Asked<'_> {
    fn helper(&self) -> Helper<'_> {
        Helper { name: self.name, search_path: self.helpers }
    }

    fn failure(&self, source: HelperError) -> StoreError {
        StoreError::Helper { host: self.host.to_owned(), source }
    }

    fn knows(&self, key: &str) -> Result<bool, StoreError> {
        let found = self.helper().find(key).map_err(|source| self.failure(source))?;
        Ok(found.is_some())
    }

    /// Erases what the helper knows under these keys; true when there was something.
    fn erase(&self, keys: &[&str]) -> Result<bool, StoreError> {
        let mut erased = false;
        for key in keys {
            // Some helpers fail to erase what they do not know.
            if self.knows(key)? {
                erased |= self.helper().erase(key).map_err(|source| self.failure(source))?;
            }
        }
        Ok(erased)
    }
}

/// A login file as a JSON object, whole.
struct Document {
    path: PathBuf,
    /// Whether it is a `.dockercfg`, which is the table of logins alone.
    legacy: bool,
    fields: Map<String, Value>,
}

impl Document {
    fn read(path: &Path, legacy: bool) -> Result<Self, StoreError> {
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
        let document = Self { path: path.to_owned(), legacy, fields };
        document.parse()?;
        Ok(document)
    }

    fn parse(&self) -> Result<AuthFile, StoreError> {
        let text = Value::Object(self.fields.clone()).to_string();
        AuthFile::parse(&text, self.legacy).map_err(|_| StoreError::Malformed(self.path.clone()))
    }

    /// The helper that holds a registry's login; none for a namespace, which their protocol does not know.
    fn helper(&self, name: &LoginName) -> Result<Option<String>, StoreError> {
        if name.namespace().is_some() {
            return Ok(None);
        }
        let file = self.parse()?;
        Ok(file.host_helper(name.host()).or_else(|| file.default_helper()).map(str::to_owned))
    }

    fn is_known_to_helper(&self, name: &LoginName, helpers: Option<&OsString>) -> Result<bool, StoreError> {
        let Some(helper) = self.helper(name)? else { return Ok(false) };
        let asked = Asked { name: &helper, helpers, host: name.host() };
        for key in helper_keys(name.host()) {
            if asked.knows(key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn auths(&mut self) -> &mut Map<String, Value> {
        if self.legacy {
            return &mut self.fields;
        }
        let auths = self.fields.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths.as_object_mut().expect("it was made an object just now")
    }

    fn holds(&self, name: &LoginName) -> bool {
        let auths = if self.legacy {
            Some(&self.fields)
        } else {
            self.fields.get("auths").and_then(Value::as_object)
        };
        auths.is_some_and(|auths| auths.keys().any(|key| name.is_key(key)))
    }

    /// Replaces the login under every name that it may have, in the file or in its helper.
    fn keep(
        &mut self,
        name: &LoginName,
        username: &str,
        password: &Secret,
        helpers: Option<&OsString>,
    ) -> Result<LoginPlace, StoreError> {
        let (key, helper) = (name.file_key(), self.helper(name)?);
        let entry = match &helper {
            Some(helper) => {
                let asked = Asked { name: helper, helpers, host: name.host() };
                asked.helper().store(&key, username, password).map_err(|source| asked.failure(source))?;
                // Docker lists the hosts whose logins a helper holds as empty entries.
                json!({})
            }
            None => json!({ "auth": STANDARD.encode(format!("{username}:{}", password.reveal())) }),
        };
        self.forget(name);
        self.auths().insert(key, entry);
        self.write()?;
        Ok(helper.map_or_else(|| LoginPlace::File(self.path.clone()), LoginPlace::Helper))
    }

    /// Removes the entries of this name alone; true when there was one.
    fn forget(&mut self, name: &LoginName) -> bool {
        if !self.holds(name) {
            return false;
        }
        self.auths().retain(|key, _| !name.is_key(key));
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
        // As docker makes its folder: what else lies there is nobody else's business either.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failure)?;
        let mut text = serde_json::to_vec_pretty(&self.fields).expect("JSON can be written as JSON");
        text.push(b'\n');
        // A named temporary file has mode 0600 from its creation on.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failure)?;
        file.write_all(&text).map_err(failure)?;
        // Root who logs in for somebody else leaves the file theirs.
        if let Ok(before) = fs::metadata(&target) {
            fchown(file.as_file(), Some(before.uid()), Some(before.gid())).map_err(failure)?;
        }
        file.as_file().sync_all().map_err(failure)?;
        file.persist(&target).map_err(|error| failure(error.error))?;
        Ok(())
    }
}
