//! What all hosts share: the configuration, the network threads, the HTTP clients, the count of requests, and the secrets
//! that no text may show.
//!
//! Knows no host, account or repository: those are built on it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::authority::is_loopback;
use super::config::{RegistryConfig, RegistryEvent};
use super::hidden::Hidden;
use super::response::ExchangeError;
use super::tls;

/// What all hosts share.
pub(super) struct Shared {
    runtime: Runtime,
    pub(super) config: RegistryConfig,
    clients: Mutex<BTreeMap<ClientKind, Client>>,
    requests: AtomicU64,
    pub(super) hidden: Hidden,
}

/// HTTP clients differ by what they trust and show, and by whether they carry large bodies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientKind {
    /// The host whose certificates count, with its port as `certs.d` names it.
    pub(super) host: String,
    /// Whether it speaks TLS.
    pub(super) encrypted: bool,
    /// Whether a certificate has to come from somebody trusted.
    pub(super) verify: bool,
    /// Whether it carries large bodies: HTTP/1.1 with a connection for each, which is faster than sharing one HTTP/2
    /// connection and its flow control.
    pub(super) bodies: bool,
}

/// An HTTP client, and what was learnt while it was used.
struct Client {
    http: reqwest::Client,
    /// Whether its host asked for a client certificate and there was none.
    lacks_certificate: Arc<AtomicBool>,
}

impl Shared {
    /// Starts two network threads; sends nothing.
    pub(super) fn new(config: RegistryConfig) -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("floe-network").enable_all();
        let runtime = builder.build()?;
        Ok(Self {
            runtime,
            config,
            clients: Mutex::default(),
            requests: AtomicU64::new(0),
            hidden: Hidden::default(),
        })
    }

    /// Waits for a request on the calling thread.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Counts a request that is about to be sent.
    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were sent so far.
    pub(super) fn request_count(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Tells the caller what happened.
    pub(super) fn tell(&self, event: &RegistryEvent) {
        if let Some(listener) = &self.config.listener {
            listener(event);
        }
    }

    /// Tells the caller that a request is sent again.
    pub(super) fn tell_retry(&self, host: &str, reason: &impl Display, wait: Duration) {
        self.tell(&RegistryEvent::Retry { host: host.to_owned(), reason: reason.to_string(), wait });
    }

    /// The HTTP client of a kind; the first use of each reads the certificates of its host.
    pub(super) fn client(&self, kind: ClientKind) -> Result<reqwest::Client, ExchangeError> {
        let mut clients = self.clients();
        if let Some(client) = clients.get(&kind) {
            return Ok(client.http.clone());
        }
        let lacks_certificate = Arc::default();
        let protocols: &[&str] = if kind.bodies { &["http/1.1"] } else { &["h2", "http/1.1"] };
        let tls = if kind.encrypted {
            let folder = tls::host_folder(&self.config.certificate_folders, &kind.host);
            tls::client_config(&kind.host, folder.as_deref(), kind.verify, protocols, &lacks_certificate)
                .map_err(|source| ExchangeError::Tls { host: kind.host.clone(), source: Box::new(source) })?
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
        if kind.bodies {
            builder = builder.http1_only();
        }
        if is_loopback(&kind.host) {
            // As in Go: no proxy could reach this machine's own addresses.
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| ExchangeError::of_reqwest(&kind.host, "the first request", error))?;
        clients.insert(kind, Client { http: http.clone(), lacks_certificate });
        Ok(http)
    }

    /// Whether the host of a client asked for a client certificate that there was not.
    pub(super) fn lacks_certificate(&self, kind: &ClientKind) -> bool {
        self.clients().get(kind).is_some_and(|client| client.lacks_certificate.load(Ordering::Relaxed))
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<ClientKind, Client>> {
        // Every change under this lock is one insertion, so a panic elsewhere left the map whole.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
