//! The registry client: its configuration, its runtime, and what all hosts share.
//!
//! [`Registry`] is made once for a command. It owns a small runtime of its own, so that everything else here is
//! blocking and can be called from packing threads; it must not be called from another asynchronous runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use floe_image::oci::{Digest, Reference};
use reqwest::{Method, Url};
use tokio::runtime::{Builder, Runtime};

use super::auth::{Account, Scope};
use super::credentials::{self, Credential, CredentialEnvironment, CredentialError, CredentialSources};
use super::exchange::{Call, ExchangeError, Line};
use super::host::{Host, is_loopback};
use super::registries_conf::{self, Location, RegistriesConf, RegistriesConfError, Serves};
use super::retry::RetryPolicy;
use super::tls;

/// How registries are spoken to.
#[derive(Clone)]
pub struct RegistryConfig {
    /// Where logins come from.
    pub credentials: CredentialSources,
    /// Folders with a folder of certificates for each host, first match wins.
    pub certificate_folders: Vec<PathBuf>,
    /// The files of `registries.conf`, in the order in which they are read.
    pub registries_conf: Vec<PathBuf>,
    /// Hosts for which plain HTTP and unknown certificates are accepted.
    pub insecure_hosts: BTreeSet<String>,
    /// `User-Agent`.
    pub user_agent: String,
    /// How many requests without large bodies a host gets at once.
    pub request_limit: usize,
    /// How many blobs are sent at once.
    pub upload_limit: usize,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
    /// How long a connection may be silent.
    pub stall_timeout: Duration,
    /// How long a registry may take to answer once it has a whole blob, which it may have to hash and move.
    pub commit_timeout: Duration,
    /// How often and how patiently failed requests are sent again.
    pub retry: RetryPolicy,
    /// How many bytes of a streamed blob are kept in memory, so that a broken upload can go on from there.
    pub replay_window: usize,
    /// Called for every event, from any thread.
    pub listener: Option<Listener>,
}

/// Takes events.
pub type Listener = Arc<dyn Fn(&RegistryEvent) + Send + Sync>;

/// Something that happened, for progress bars and logs. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryEvent {
    /// The registry holds the blob already.
    Present(Digest),
    /// The registry took the blob over from another of its repositories.
    Mounted(Digest),
    /// Bytes of a blob were handed to the network; a broken upload hands some out twice.
    Sent {
        /// The blob, where its digest is known beforehand.
        digest: Option<Digest>,
        /// How many bytes.
        bytes: u64,
    },
    /// The registry has the blob, whole.
    Uploaded {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// Bytes of a blob came.
    Received {
        /// The blob.
        digest: Digest,
        /// How many bytes.
        bytes: u64,
    },
    /// A request failed and is sent again.
    Retry {
        /// The host.
        host: String,
        /// What went wrong, in words.
        reason: String,
        /// How long floe waits first.
        wait: Duration,
    },
}

impl RegistryConfig {
    /// The configuration of a user's process: its environment, the user's and the machine's files.
    ///
    /// # Errors
    /// When a folder of `registries.conf` exists but cannot be read.
    pub fn of_process() -> Result<Self, OpenRegistryError> {
        let environment = CredentialEnvironment::of_process();
        let registries_conf =
            registries_conf::files(&environment).map_err(OpenRegistryError::Configuration)?;
        Ok(Self {
            certificate_folders: tls::certificate_folders(&environment),
            registries_conf,
            credentials: CredentialSources { environment, ..CredentialSources::default() },
            ..Self::bare()
        })
    }

    /// A configuration that reads no file and no environment variable, for tests and embedding.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            credentials: CredentialSources::default(),
            certificate_folders: Vec::new(),
            registries_conf: Vec::new(),
            insecure_hosts: BTreeSet::new(),
            user_agent: concat!("floe/", env!("CARGO_PKG_VERSION")).to_owned(),
            // Between 16 and 32: enough to hide the way to the registry, few enough for every registry's limits.
            request_limit: 24,
            // Between 4 and 8: more connections only share the same line.
            upload_limit: 6,
            connect_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(60),
            commit_timeout: Duration::from_secs(600),
            retry: RetryPolicy::default(),
            // More than the buffers of a connection hold, so that what they lost is still here.
            replay_window: 8 << 20,
            listener: None,
        }
    }
}

impl fmt::Debug for RegistryConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RegistryConfig").field("user_agent", &self.user_agent).finish_non_exhaustive()
    }
}

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
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("floe-network").enable_all();
        let runtime = builder.build().map_err(OpenRegistryError::Runtime)?;
        let shared = Shared {
            runtime,
            config,
            conf,
            hosts: Mutex::default(),
            clients: Mutex::default(),
            accounts: Mutex::default(),
            requests: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens the repository of a reference: follows `registries.conf` and looks the login up; no request is sent.
    ///
    /// # Errors
    /// [`OpenRegistryError`].
    pub fn repository(&self, reference: &Reference) -> Result<Repository, OpenRegistryError> {
        let (host, repository) = (reference.host(), reference.repository());
        let route = self.shared.conf.route(host, repository);
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
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Shows a credential to a host, and fails when the host does not take it.
    ///
    /// A host that asks for nothing takes everything. Two requests, three with a token server.
    ///
    /// # Errors
    /// [`ExchangeError::Refused`] with 401 or 403 for a wrong credential.
    pub fn check_login(&self, host: &str, credential: Credential) -> Result<(), ExchangeError> {
        let shared = &self.shared;
        let host = shared.host(host, shared.config.insecure_hosts.contains(host));
        let account = Account::new(credential);
        let line = Line { shared, host: &host, account: &account, repository: "" };
        shared.block_on(async {
            let call = Call::new(Method::GET, line.url("v2/").await?);
            line.exchange(&call, &Scope::registry()).await.map(drop)
        })
    }

    fn place(&self, location: &Location) -> Result<Place, OpenRegistryError> {
        let shared = &self.shared;
        let insecure = location.insecure || shared.config.insecure_hosts.contains(&location.host);
        Ok(Place {
            host: shared.host(&location.host, insecure),
            account: shared.account(&location.host, &location.repository)?,
            repository: location.repository.clone(),
            serves: location.serves,
        })
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

impl fmt::Debug for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Repository({}/{})", self.name.host(), self.name.repository())
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

/// What all hosts share.
pub(super) struct Shared {
    runtime: Runtime,
    pub(super) config: RegistryConfig,
    conf: RegistriesConf,
    hosts: Mutex<BTreeMap<(String, bool), Arc<Host>>>,
    clients: Mutex<BTreeMap<ClientKey, reqwest::Client>>,
    accounts: Mutex<BTreeMap<(String, String), Arc<Account>>>,
    requests: AtomicU64,
}

/// Clients differ by what they trust and show, and by whether they carry large bodies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ClientKey {
    host: String,
    encrypted: bool,
    verify: bool,
    bodies: bool,
}

impl Shared {
    /// Waits for a request on the calling thread.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn tell(&self, event: &RegistryEvent) {
        if let Some(listener) = &self.config.listener {
            listener(event);
        }
    }

    pub(super) fn tell_retry(&self, host: &str, error: &ExchangeError, wait: Duration) {
        self.tell(&RegistryEvent::Retry { host: host.to_owned(), reason: error.to_string(), wait });
    }

    /// The one record of a host.
    pub(super) fn host(&self, name: &str, insecure: bool) -> Arc<Host> {
        let mut hosts = lock(&self.hosts);
        let make = || Arc::new(Host::new(name, insecure, self.config.request_limit));
        Arc::clone(hosts.entry((name.to_owned(), insecure)).or_insert_with(make))
    }

    /// Whether a folder of certificates exists for a host.
    pub(super) fn has_certificates(&self, host: &str) -> bool {
        tls::host_folder(&self.config.certificate_folders, host).is_some()
    }

    fn account(&self, host: &str, repository: &str) -> Result<Arc<Account>, OpenRegistryError> {
        let mut accounts = lock(&self.accounts);
        let key = (host.to_owned(), repository.to_owned());
        if let Some(account) = accounts.get(&key) {
            return Ok(Arc::clone(account));
        }
        let credential = credentials::find(&self.config.credentials, host, repository).map_err(|source| {
            let (host, repository) = (host.to_owned(), repository.to_owned());
            OpenRegistryError::Credentials { host, repository, source }
        })?;
        let account = Arc::new(Account::new(credential));
        accounts.insert(key, Arc::clone(&account));
        Ok(account)
    }

    /// The HTTP client for a URL that was reached through `host`, which may be another one after a redirect.
    ///
    /// `bodies` asks for one that carries large bodies: HTTP/1.1 with a connection for each, which is faster than
    /// sharing one HTTP/2 connection and its flow control.
    pub(super) fn client(
        &self,
        url: &str,
        host: &Host,
        bodies: bool,
    ) -> Result<reqwest::Client, ExchangeError> {
        let name = authority(url);
        // What the user accepts for a host does not extend to where it redirects.
        let is_own = host.base().is_none_or(|base| authority(base.as_str()) == name);
        let certificates_of = if is_own { host.name() } else { &name };
        let key = ClientKey {
            host: certificates_of.to_owned(),
            encrypted: url.starts_with("https:"),
            verify: !(host.is_insecure() && is_own),
            bodies,
        };
        let mut clients = lock(&self.clients);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let protocols: &[&str] = if bodies { &["http/1.1"] } else { &["h2", "http/1.1"] };
        let tls = if key.encrypted {
            let folder = tls::host_folder(&self.config.certificate_folders, certificates_of);
            tls::client_config(certificates_of, folder.as_deref(), key.verify, protocols).map_err(
                |source| ExchangeError::Tls { host: certificates_of.to_owned(), source: Box::new(source) },
            )?
        } else {
            tls::no_tls()
        };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(&self.config.user_agent)
            .connect_timeout(self.config.connect_timeout)
            // Redirects are followed by hand: credentials must not go along.
            .redirect(reqwest::redirect::Policy::none())
            // Every retry is floe's own, and counted.
            .retry(reqwest::retry::never());
        if bodies {
            builder = builder.http1_only();
        }
        if is_loopback(&name) {
            // As in Go: no proxy could reach this machine's own addresses.
            builder = builder.no_proxy();
        }
        let client =
            builder.build().map_err(|error| ExchangeError::of_reqwest(&name, "the first request", error))?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// The host and port of a URL, as `certs.d` names them: the port only where it is not the scheme's own.
fn authority(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return String::new() };
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is one insertion, so a panic elsewhere left the map whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
