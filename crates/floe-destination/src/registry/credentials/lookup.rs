//! Finding the credential for a repository: the sources in their order.
//!
//! First what was given with the command, then `DOCKER_AUTH_CONFIG`, then either a file given with the command or by
//! `REGISTRY_AUTH_FILE`, or `$DOCKER_CONFIG/config.json`, or podman's two files, `~/.docker/config.json` and
//! `~/.dockercfg`. Within a file: the host's helper, the longest key, the general helper.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::auth_file::{AuthFile, MalformedEntry, helper_keys};
use super::helper::{Helper, HelperError};
use super::secret::{Credential, Secret};

/// Where credentials come from.
#[derive(Clone, Debug, Default)]
pub struct CredentialSources {
    /// Given with the command, by host; they win over every file.
    pub explicit: BTreeMap<String, Credential>,
    /// A login file given with the command; no other file is read then.
    pub auth_file: Option<PathBuf>,
    /// What the process was started with.
    pub environment: CredentialEnvironment,
}

impl CredentialSources {
    /// The sources of a user's process.
    #[must_use]
    pub fn of_process() -> Self {
        Self { environment: CredentialEnvironment::of_process(), ..Self::default() }
    }
}

/// The environment variables that say where logins are kept; an empty variable counts as unset.
#[derive(Clone, Debug, Default)]
pub struct CredentialEnvironment {
    /// `DOCKER_AUTH_CONFIG`: a login file's content.
    pub docker_auth_config: Option<Secret>,
    /// `REGISTRY_AUTH_FILE`.
    pub registry_auth_file: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the folder of `config.json`.
    pub docker_config: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `PATH`, where credential helpers are looked for.
    pub search_path: Option<OsString>,
    /// The user's number, for podman's default folder.
    pub uid: u32,
}

impl CredentialEnvironment {
    /// Reads the process's own environment.
    #[must_use]
    pub fn of_process() -> Self {
        let given = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let path = |name: &str| given(name).map(PathBuf::from);
        Self {
            docker_auth_config: given("DOCKER_AUTH_CONFIG")
                .map(|value| Secret::new(value.to_string_lossy().into_owned())),
            registry_auth_file: path("REGISTRY_AUTH_FILE"),
            docker_config: path("DOCKER_CONFIG"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            config_home: path("XDG_CONFIG_HOME"),
            home: path("HOME"),
            search_path: given("PATH"),
            uid: rustix::process::getuid().as_raw(),
        }
    }

    /// `$XDG_CONFIG_HOME`, else `~/.config`.
    pub(in crate::registry) fn config_dir(&self) -> Option<PathBuf> {
        self.config_home.clone().or_else(|| self.home.as_ref().map(|home| home.join(".config")))
    }

    /// podman's files, the one that it writes first.
    pub(super) fn podman_files(&self) -> Vec<PathBuf> {
        let runtime = match &self.runtime_dir {
            Some(folder) => folder.join("containers"),
            None => PathBuf::from(format!("/run/containers/{}", self.uid)),
        };
        let folders = [Some(runtime), self.config_dir().map(|folder| folder.join("containers"))];
        folders.into_iter().flatten().map(|folder| folder.join("auth.json")).collect()
    }

    /// Docker's `config.json`.
    pub(super) fn docker_file(&self) -> Option<PathBuf> {
        let folder =
            self.docker_config.clone().or_else(|| self.home.as_ref().map(|home| home.join(".docker")))?;
        Some(folder.join("config.json"))
    }
}

/// A credential could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A login file exists but cannot be read.
    #[error("cannot read the login file '{}'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A login file is not JSON of the expected form; going on without it would look like a wrong password.
    #[error("{origin} is not a login file: JSON fails at line {line}, column {column}")]
    Json {
        /// The file or variable.
        origin: String,
        /// Where reading failed; the text itself may be a secret and is not shown.
        line: usize,
        /// The column in that line.
        column: usize,
    },
    /// An entry for this host holds no user and password.
    #[error("cannot use {origin}")]
    Entry {
        /// The file or variable.
        origin: String,
        /// Which entry.
        #[source]
        source: MalformedEntry,
    },
    /// A credential helper failed.
    #[error("cannot ask the credential helper for '{host}'")]
    Helper {
        /// The host that was asked for.
        host: String,
        /// Why.
        #[source]
        source: HelperError,
    },
}

/// Finds the credential for a repository on a host; [`Credential::Anonymous`] when no source knows it.
///
/// Reads files and may run a credential helper; nothing is cached.
///
/// # Errors
/// [`CredentialError`], when a source that has to be asked cannot be.
pub fn find(
    sources: &CredentialSources,
    host: &str,
    repository: &str,
) -> Result<Credential, CredentialError> {
    if let Some(credential) = sources.explicit.get(host) {
        return Ok(credential.clone());
    }
    let environment = &sources.environment;
    let search = Search { host, repository, search_path: environment.search_path.as_ref() };
    if sources.auth_file.is_none()
        && let Some(text) = &environment.docker_auth_config
        && let Some(credential) = search.text(text.reveal(), "DOCKER_AUTH_CONFIG", false)?
    {
        return Ok(credential);
    }
    for (path, legacy) in files(sources) {
        if let Some(credential) = search.file(&path, legacy)? {
            return Ok(credential);
        }
    }
    Ok(Credential::Anonymous)
}

/// The files that are read, in order; each with whether it is a `.dockercfg`.
pub(super) fn files(sources: &CredentialSources) -> Vec<(PathBuf, bool)> {
    let environment = &sources.environment;
    if let Some(path) = sources.auth_file.as_ref().or(environment.registry_auth_file.as_ref()) {
        return vec![(path.clone(), false)];
    }
    if environment.docker_config.is_some() {
        return environment.docker_file().map(|path| (path, false)).into_iter().collect();
    }
    let mut files: Vec<(PathBuf, bool)> =
        environment.podman_files().into_iter().map(|path| (path, false)).collect();
    files.extend(environment.docker_file().map(|path| (path, false)));
    files.extend(environment.home.as_ref().map(|home| (home.join(".dockercfg"), true)));
    files
}

/// Reads a login file's text; `origin` is shown where it is malformed.
pub(super) fn parse(text: &str, origin: &str, legacy: bool) -> Result<AuthFile, CredentialError> {
    AuthFile::parse(text, legacy).map_err(|error| CredentialError::Json {
        origin: origin.to_owned(),
        line: error.line(),
        column: error.column(),
    })
}

struct Search<'a> {
    host: &'a str,
    repository: &'a str,
    search_path: Option<&'a OsString>,
}

impl Search<'_> {
    fn file(&self, path: &Path, legacy: bool) -> Result<Option<Credential>, CredentialError> {
        match fs::read_to_string(path) {
            Ok(text) => self.text(&text, &format!("'{}'", path.display()), legacy),
            Err(error) if is_absent(&error) => Ok(None),
            Err(source) => Err(CredentialError::Read { path: path.to_owned(), source }),
        }
    }

    fn text(&self, text: &str, origin: &str, legacy: bool) -> Result<Option<Credential>, CredentialError> {
        let file = parse(text, origin, legacy)?;
        if let Some(helper) = file.host_helper(self.host)
            && let Some(credential) = self.ask(helper)?
        {
            return Ok(Some(credential));
        }
        let entry = file
            .entry(self.host, self.repository)
            .map_err(|source| CredentialError::Entry { origin: origin.to_owned(), source })?;
        match (entry, file.default_helper()) {
            (Some(credential), _) => Ok(Some(credential)),
            (None, Some(helper)) => self.ask(helper),
            (None, None) => Ok(None),
        }
    }

    fn ask(&self, name: &str) -> Result<Option<Credential>, CredentialError> {
        let helper = Helper { name, search_path: self.search_path };
        for key in helper_keys(self.host) {
            let found = helper
                .find(key)
                .map_err(|source| CredentialError::Helper { host: self.host.to_owned(), source })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Not there, or below something that is no folder, or in another user's runtime folder.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podmans_files_follow_the_environment() {
        let mut environment = CredentialEnvironment { uid: 1234, ..CredentialEnvironment::default() };
        let mut check = |change: fn(&mut CredentialEnvironment), expected: &[&str]| {
            change(&mut environment);
            assert_eq!(environment.podman_files(), expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        };
        let runtime = "/run/containers/1234/auth.json";
        check(|_| {}, &[runtime]);
        check(|it| it.home = Some("/h".into()), &[runtime, "/h/.config/containers/auth.json"]);
        check(|it| it.config_home = Some("/c".into()), &[runtime, "/c/containers/auth.json"]);
        check(
            |it| it.runtime_dir = Some("/r".into()),
            &["/r/containers/auth.json", "/c/containers/auth.json"],
        );
    }
}
