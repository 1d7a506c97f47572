//! The registry client: from a reference to the hosts that serve its repository, with the login for each.
//!
//! [`Registry`] is made once for a command. It owns a small runtime of its own, so that everything else here is
//! blocking and can be called from packing threads; it must not be called from another asynchronous runtime.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floe_image::oci::Reference;
use reqwest::Method;

use super::auth::{Account, Scope};
use super::config::RegistryConfig;
use super::credentials::{self, Credential, CredentialError};
use super::exchange::{Call, Line};
use super::host::Host;
use super::registries_conf::{Location, RegistriesConf, RegistriesConfError, Serves};
use super::response::ExchangeError;
use super::shared::Shared;

/// A registry client could not be made, or a repository not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenRegistryError {
    /// `registries.conf` could not be used.
    #[error("cannot use registries.conf")]
    Configuration(#[source] RegistriesConfError),
    /// The system gave no threads or sockets.
    #[error("cannot start the network threads")]
    Runtime(#[source] std::io::Error),
    /// The login for the repository could not be looked up.
    #[error("cannot find the login for '{host}/{repository}'")]
    Credentials {
        /// The host.
        host: String,
        /// The repository.
        repository: String,
        /// Why.
        #[source]
        source: CredentialError,
    },
    /// `registries.conf` forbids the registry.
    #[error("'{host}/{repository}' is blocked by registries.conf")]
    Blocked {
        /// The host.
        host: String,
        /// The repository.
        repository: String,
    },
}

/// A client for any number of registries.
///
/// ```no_run
/// use floe_destination::registry::{Registry, RegistryConfig};
///
/// let registry = Registry::new(RegistryConfig::of_process()?)?;
/// let repository = registry.repository(&"registry.example.com/app".parse()?)?;
/// println!("{:?}", repository.tags()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Registry {
    pub(super) shared: Arc<Shared>,
    known: Arc<Known>,
}

/// What was found out so far: each host and each login is looked up once.
struct Known {
    conf: RegistriesConf,
    hosts: Mutex<BTreeMap<(String, bool), Arc<Host>>>,
    accounts: Mutex<BTreeMap<(String, String), Arc<Account>>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Starts the client's own two network threads and reads `registries.conf`; no request is sent.
    ///
    /// # Errors
    /// [`OpenRegistryError`].
    pub fn new(config: RegistryConfig) -> Result<Self, OpenRegistryError> {
        let conf = RegistriesConf::read(&config.registries_conf).map_err(OpenRegistryError::Configuration)?;
        let shared = Shared::new(config).map_err(OpenRegistryError::Runtime)?;
        let known = Known { conf, hosts: Mutex::default(), accounts: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), known: Arc::new(known) })
    }

    /// Opens the repository of a reference: follows `registries.conf` and looks the login up; no request is sent.
    ///
    /// # Errors
    /// [`OpenRegistryError`].
    pub fn repository(&self, reference: &Reference) -> Result<Repository, OpenRegistryError> {
        let (host, repository) = (reference.host(), reference.repository());
        let route = self.known.conf.route(host, repository);
        if route.blocked {
            let (host, repository) = (host.to_owned(), repository.to_owned());
            return Err(OpenRegistryError::Blocked { host, repository });
        }
        let mirrors = route.mirrors.iter().map(|mirror| self.place(mirror)).collect::<Result<_, _>>()?;
        Ok(Repository {
            name: reference.clone(),
            primary: self.place(&route.primary)?,
            mirrors,
            shared: Arc::clone(&self.shared),
        })
    }

    /// How many HTTP requests were sent so far, to all hosts and token servers, repeated ones included.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.shared.request_count()
    }

    /// Shows a credential to a host, and fails when the host does not take it.
    ///
    /// A host that asks for nothing takes everything. Two requests, three with a token server. `registries.conf` says
    /// whether plain HTTP will do.
    ///
    /// # Errors
    /// [`ExchangeError::Refused`] with 401 or 403 for a wrong credential.
    pub fn check_login(&self, host: &str, credential: Credential) -> Result<(), ExchangeError> {
        let shared = &self.shared;
        let insecure = self.known.conf.route(host, "").primary.insecure;
        let host = self.host(host, insecure || shared.config.insecure_hosts.contains(host));
        shared.hidden.add_login(&credential);
        let account = Account::new(credential);
        let line = Line { shared, host: &host, account: &account, repository: "" };
        shared.block_on(async {
            let call = Call::new(Method::GET, line.url("v2/").await?);
            line.exchange(&call, &Scope::registry()).await.map(drop)
        })
    }

    fn place(&self, location: &Location) -> Result<Place, OpenRegistryError> {
        let insecure = location.insecure || self.shared.config.insecure_hosts.contains(&location.host);
        Ok(Place {
            host: self.host(&location.host, insecure),
            account: self.account(&location.host, &location.repository)?,
            repository: location.repository.clone(),
            serves: location.serves,
        })
    }
    /// The one record of a host.
    fn host(&self, name: &str, insecure: bool) -> Arc<Host> {
        let mut hosts = lock(&self.known.hosts);
        let make = || Arc::new(Host::new(name, insecure, self.shared.config.request_limit));
        Arc::clone(hosts.entry((name.to_owned(), insecure)).or_insert_with(make))
    }

    fn account(&self, host: &str, repository: &str) -> Result<Arc<Account>, OpenRegistryError> {
        let mut accounts = lock(&self.known.accounts);
        let key = (host.to_owned(), repository.to_owned());
        if let Some(account) = accounts.get(&key) {
            return Ok(Arc::clone(account));
        }
        let sources = &self.shared.config.credentials;
        let credential = credentials::find(sources, host, repository).map_err(|source| {
            let (host, repository) = (host.to_owned(), repository.to_owned());
            OpenRegistryError::Credentials { host, repository, source }
        })?;
        self.shared.hidden.add_login(&credential);
        let account = Arc::new(Account::new(credential));
        accounts.insert(key, Arc::clone(&account));
        Ok(account)
    }
}

/// A repository in a registry, with the mirrors that pulls ask first.
pub struct Repository {
    pub(super) shared: Arc<Shared>,
    /// The reference that the repository was opened with: its host and repository are what the user wrote.
    pub(super) name: Reference,
    pub(super) primary: Place,
    pub(super) mirrors: Vec<Place>,
}

impl Repository {
    /// The registry's host as the user wrote it.
    #[must_use]
    pub fn host(&self) -> &str {
        self.name.host()
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Repository({self})")
    }
}

/// The host and the path, as the user wrote them.
impl fmt::Display for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.name.host(), self.name.repository())
    }
}

/// A repository on one host.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) host: Arc<Host>,
    pub(super) account: Arc<Account>,
    pub(super) repository: String,
    pub(super) serves: Serves,
}

impl Place {
    pub(super) fn line<'a>(&'a self, shared: &'a Shared) -> Line<'a> {
        Line { shared, host: &self.host, account: &self.account, repository: &self.repository }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is one insertion, so a panic elsewhere left the map whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
