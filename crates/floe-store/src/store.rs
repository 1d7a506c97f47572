//! A store on this machine: where it lies, and the closures that it can tell.
//!
//! A closure is read from the first source that knows all of it: the database (no process, no server),
//! then `nix path-info`, then the daemon's socket. The later two also see what a database that had to be opened
//! without its log does not show.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::program::RunNixError;
use crate::read::daemon::{self, ReadDaemonError};
use crate::read::database::{self, ReadDatabaseError, StaleRisk};
use crate::read::path_info_json::{self, ReadPathInfoError};
use crate::tree::LocalTrees;
use crate::{Closure, ResolveError, StoreDir, StorePath, resolve};

/// Where a store lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreConfig {
    /// The physical root: the store's files lie in `<root>/nix/store`, its state in `<root>/nix/var/nix`.
    /// `None` is this machine's `/`, with Nix's own environment variables for the state and the socket.
    pub root: Option<PathBuf>,
    /// The logical store directory that every path names.
    pub store_dir: StoreDir,
}

/// A Nix store on this machine.
#[derive(Clone, Debug)]
pub struct Store {
    config: StoreConfig,
    nix: OsString,
}

/// Which source told a closure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadSource {
    /// The database, read directly.
    Database,
    /// `nix path-info --json`.
    PathInfo,
    /// The daemon's socket.
    Daemon,
}

/// A closure and how it was read.
#[derive(Clone, Debug)]
pub struct ReadClosure {
    /// The closure.
    pub closure: Closure,
    /// The source that told it.
    pub source: ReadSource,
    /// Set when the database may have newer entries than could be seen. The closure is complete
    /// all the same; only a path that was registered again a moment ago could differ.
    pub stale_risk: Option<StaleRisk>,
}

/// Why a closure could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadClosureError {
    /// No database, no `nix` program and no daemon: Nix is not on this machine, or the store has another root.
    #[error("no Nix store at {}: no database, no nix program and no daemon was found", root.display())]
    NoNix {
        /// The physical root that was looked at.
        root: PathBuf,
        /// What each source said.
        #[source]
        sources: Box<SourceErrors>,
    },
    /// A source answered that the path is not valid, and none said that it is: it was never built or
    /// was collected as garbage.
    #[error("{path} is not a valid store path: expected one that is built and registered in this store")]
    NotValid {
        /// The full path.
        path: String,
        /// What each source said.
        #[source]
        sources: Box<SourceErrors>,
    },
    /// Nix is there, and none of its sources could be read.
    #[error("cannot read the closure of {path}")]
    Unreadable {
        /// The full path of the first root.
        path: String,
        /// What each source said.
        #[source]
        sources: Box<SourceErrors>,
    },
}

/// What each source said, in the order they were asked.
#[derive(Debug)]
pub struct SourceErrors {
    /// The database's reason.
    pub database: ReadDatabaseError,
    /// The reason of `nix path-info`.
    pub path_info: ReadPathInfoError,
    /// The daemon's reason.
    pub daemon: ReadDaemonError,
}

impl fmt::Display for SourceErrors {
    /// Writes each source's reason with its causes, because an error chain can hold only one of them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: [(&str, &dyn std::error::Error); 3] = [
            ("the database", &self.database),
            ("nix path-info", &self.path_info),
            ("the daemon", &self.daemon),
        ];
        for (index, (name, error)) in reasons.into_iter().enumerate() {
            write!(formatter, "{}{name} says: {error}", if index > 0 { "; " } else { "" })?;
            let mut cause = error.source();
            while let Some(error) = cause {
                write!(formatter, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl std::error::Error for SourceErrors {}

impl Store {
    /// Describes a store; nothing is looked at yet.
    #[must_use]
    pub fn new(config: StoreConfig) -> Self {
        Self { config, nix: "nix".into() }
    }

    /// Runs another program for `nix`; a bare name is searched on `PATH`.
    #[must_use]
    pub fn with_nix(mut self, program: impl Into<OsString>) -> Self {
        self.nix = program.into();
        self
    }

    /// The logical store directory.
    #[must_use]
    pub fn store_dir(&self) -> &StoreDir {
        &self.config.store_dir
    }

    /// The physical root, when it is not this machine's `/`.
    #[must_use]
    pub fn root(&self) -> Option<&Path> {
        self.config.root.as_deref()
    }

    /// The `nix` program.
    #[must_use]
    pub fn nix(&self) -> &OsStr {
        &self.nix
    }

    /// The directory in which the store's files physically lie, such as `/mnt/nix/store`.
    #[must_use]
    pub fn physical_store(&self) -> PathBuf {
        self.below_root(self.config.store_dir.as_str())
    }

    /// The directory of the store's database and garbage collector roots: `<root>/nix/var/nix`, or
    /// `$NIX_STATE_DIR` for the store of this machine.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.variable("NIX_STATE_DIR").unwrap_or_else(|| self.below_root("/nix/var/nix"))
    }

    /// The database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state_dir().join("db/db.sqlite")
    }

    /// The daemon's socket: below the root, or `$NIX_DAEMON_SOCKET_PATH` for the store of this machine.
    #[must_use]
    pub fn daemon_socket(&self) -> PathBuf {
        self.variable("NIX_DAEMON_SOCKET_PATH")
            .unwrap_or_else(|| self.state_dir().join("daemon-socket/socket"))
    }

    /// An environment variable of Nix, which describes this machine's store and none with another root.
    fn variable(&self, name: &str) -> Option<PathBuf> {
        if self.config.root.is_some() {
            return None;
        }
        env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    fn below_root(&self, absolute: &str) -> PathBuf {
        match &self.config.root {
            Some(root) => root.join(absolute.trim_start_matches('/')),
            None => absolute.into(),
        }
    }

    /// What follows `--store` for Nix's own programs, or `None` when their default is this store.
    #[must_use]
    pub fn nix_store_argument(&self) -> Option<String> {
        let is_default_dir = self.config.store_dir == StoreDir::default();
        match &self.config.root {
            None if is_default_dir => None,
            None => {
                Some(format!("local?store={}", percent_encode(self.config.store_dir.as_str().as_bytes())))
            }
            Some(root) => {
                let root = std::path::absolute(root).unwrap_or_else(|_| root.clone());
                let root = percent_encode(root.as_os_str().as_encoded_bytes());
                let store_dir = percent_encode(self.config.store_dir.as_str().as_bytes());
                Some(format!("local?root={root}&store={store_dir}"))
            }
        }
    }

    /// Resolves what a person names: a full store path, its base name, or a symlink to one (`./result`).
    ///
    /// The path need not be valid, nor exist when it is given as a store path.
    ///
    /// # Errors
    /// When nothing is there, or it lies outside the store or below a store path.
    pub fn resolve(&self, path: &Path) -> Result<StorePath, ResolveError> {
        resolve::resolve(path, &self.config.store_dir, &self.physical_store())
    }

    /// The files of this store.
    #[must_use]
    pub fn trees(&self) -> LocalTrees {
        LocalTrees::new(self.physical_store())
    }

    /// Reads the closure of `roots`; the same as [`Store::read_closure`] without saying how it was read.
    ///
    /// # Errors
    /// When a root is not valid, or no source can be read.
    pub fn closure(&self, roots: &[StorePath]) -> Result<Closure, ReadClosureError> {
        self.read_closure(roots).map(|read| read.closure)
    }

    /// Reads the closure of `roots` from the first source that knows all of it.
    ///
    /// # Errors
    /// When a root is not valid, or no source can be read. Each source's reason is kept.
    pub fn read_closure(&self, roots: &[StorePath]) -> Result<ReadClosure, ReadClosureError> {
        let store_dir = &self.config.store_dir;
        let database = match database::closure(&self.database(), store_dir, roots) {
            Ok(read) => {
                let (closure, stale_risk) = (read.closure, read.stale_risk);
                return Ok(ReadClosure { closure, source: ReadSource::Database, stale_risk });
            }
            Err(error) => error,
        };
        let answered = |closure, source| ReadClosure { closure, source, stale_risk: None };
        let path_info = match path_info_json::closure(self, roots) {
            Ok(closure) => return Ok(answered(closure, ReadSource::PathInfo)),
            Err(error) => error,
        };
        let daemon = match daemon::closure(&self.daemon_socket(), store_dir, roots) {
            Ok(closure) => return Ok(answered(closure, ReadSource::Daemon)),
            Err(error) => error,
        };
        Err(self.explain(roots, SourceErrors { database, path_info, daemon }))
    }

    fn explain(&self, roots: &[StorePath], sources: SourceErrors) -> ReadClosureError {
        let no_database = matches!(sources.database, ReadDatabaseError::Missing { .. });
        let no_program = matches!(
            sources.path_info,
            ReadPathInfoError::NoStore { .. }
                | ReadPathInfoError::Run { source: RunNixError::NotInstalled { .. } }
        );
        let no_daemon = matches!(
            &sources.daemon,
            ReadDaemonError::Connect { source, .. } if source.kind() == io::ErrorKind::NotFound
        );
        let not_valid = match (&sources.database, &sources.path_info, &sources.daemon) {
            (ReadDatabaseError::NotValid { path }, _, _)
            | (_, ReadPathInfoError::NotValid { path }, _)
            | (_, _, ReadDaemonError::NotValid { path }) => Some(path.clone()),
            _ => None,
        };
        let sources = Box::new(sources);
        if no_database && no_program && no_daemon {
            let root = self.config.root.clone().unwrap_or_else(|| "/".into());
            return ReadClosureError::NoNix { root, sources };
        }
        match not_valid {
            Some(path) => ReadClosureError::NotValid { path, sources },
            None => {
                let path =
                    roots.first().map(|root| self.config.store_dir.full_path(root)).unwrap_or_default();
                ReadClosureError::Unreadable { path, sources }
            }
        }
    }
}

/// Writes bytes for a store URL's query (RFC 3986, section 2.1); Nix decodes them again.
fn percent_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_logical_and_physical_apart() {
        let store = Store::new(StoreConfig { root: Some("/mnt/a b".into()), ..StoreConfig::default() });
        assert_eq!(store.physical_store(), Path::new("/mnt/a b/nix/store"));
        assert_eq!(store.database(), Path::new("/mnt/a b/nix/var/nix/db/db.sqlite"));
        assert_eq!(store.daemon_socket(), Path::new("/mnt/a b/nix/var/nix/daemon-socket/socket"));
        let argument = store.nix_store_argument();
        assert_eq!(argument.as_deref(), Some("local?root=/mnt/a%20b&store=/nix/store"));
        assert_eq!(Store::new(StoreConfig::default()).nix_store_argument(), None);
    }

    #[test]
    fn says_when_there_is_no_nix() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let config = StoreConfig { root: Some(root.path().into()), ..StoreConfig::default() };
        let store = Store::new(config).with_nix("no-such-program-anywhere");
        let path: StorePath = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-app".parse().expect("a well-formed path");
        let error = store.closure(std::slice::from_ref(&path)).expect_err("no Nix");
        assert!(matches!(&error, ReadClosureError::NoNix { .. }), "{error:?}");
        let empty = store.closure(&[]).expect_err("an empty closure needs a store, too");
        assert!(matches!(empty, ReadClosureError::NoNix { .. }));
    }
}
