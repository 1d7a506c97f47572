//! One registry host: how it is reached, what it asks for, how many requests it gets at once.
//!
//! The first request is `GET /v2/` (OCI distribution-spec v1.1, "Determining Support"), without credentials. It
//! decides between HTTPS and, where that is permitted, HTTP, and brings the challenges.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode, Url};
use tokio::sync::{OnceCell, Semaphore};

use super::authority::{authority, is_loopback};
use super::challenge::{self, Challenge};
use super::response::{ExchangeError, refusal};
use super::shared::{ClientKind, Shared};
use super::tls;

/// Docker Hub's API answers under another name than its references have.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// A registry host.
pub(super) struct Host {
    name: String,
    insecure: bool,
    base: OnceCell<Url>,
    challenge: Mutex<Challenge>,
    /// Requests without large bodies take a permit each.
    pub(super) requests: Semaphore,
    /// No request is sent before this time: the host asked for patience.
    pause_until: Mutex<Option<Instant>>,
}

impl Host {
    pub(super) fn new(name: &str, insecure: bool, request_limit: usize) -> Self {
        Self {
            name: name.to_owned(),
            insecure,
            base: OnceCell::new(),
            challenge: Mutex::default(),
            requests: Semaphore::new(request_limit.max(1)),
            pause_until: Mutex::default(),
        }
    }

    /// The host as references name it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether plain HTTP and unknown certificates are accepted.
    pub(super) fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// The URL that paths are joined to; `None` before the first contact.
    pub(super) fn base(&self) -> Option<Url> {
        self.base.get().cloned()
    }

    pub(super) fn challenge(&self) -> Challenge {
        lock(&self.challenge).clone()
    }

    pub(super) fn set_challenge(&self, challenge: Challenge) {
        *lock(&self.challenge) = challenge;
    }

    /// Makes every request to this host wait.
    pub(super) fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut pause = lock(&self.pause_until);
        *pause = Some(pause.map_or(until, |earlier| earlier.max(until)));
    }

    /// Waits until the host may be asked.
    pub(super) async fn wait_for_pause(&self) {
        let until = *lock(&self.pause_until);
        if let Some(until) = until {
            tokio::time::sleep_until(until.into()).await;
        }
    }

    /// Whether a URL is on this host, so that credentials may be sent there.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        self.base.get().is_some_and(|base| base.origin() == url.origin())
    }

    /// The HTTP client for a URL that was reached through this host, which may be on another one after a redirect.
    pub(super) fn client(
        &self,
        shared: &Shared,
        url: &Url,
        bodies: bool,
    ) -> Result<reqwest::Client, ExchangeError> {
        shared.client(self.client_kind(url, bodies))
    }

    fn client_kind(&self, url: &Url, bodies: bool) -> ClientKind {
        let name = authority(url);
        // What the user accepts for a host does not extend to where it redirects.
        let is_own = self.base().is_none_or(|base| authority(&base) == name);
        ClientKind {
            host: if is_own { self.name.clone() } else { name },
            encrypted: url.scheme() == "https",
            verify: !(self.insecure && is_own),
            bodies,
        }
    }

    /// The URL that paths are joined to, after the first contact.
    pub(super) async fn connect(&self, shared: &Shared) -> Result<Url, ExchangeError> {
        self.base.get_or_try_init(|| self.probe(shared)).await.cloned()
    }

    async fn probe(&self, shared: &Shared) -> Result<Url, ExchangeError> {
        let mut failures = 0;
        loop {
            let error = match self.probe_schemes(shared).await {
                Ok(base) => return Ok(base),
                Err(error) => error,
            };
            failures += 1;
            // A host that was never reached is more likely misspelt than restarting.
            let may_pass = error.is_passing() && !matches!(error, ExchangeError::Connect { .. });
            match shared.config.retry.wait(failures, error.retry_after()).filter(|_| may_pass) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    async fn probe_schemes(&self, shared: &Shared) -> Result<Url, ExchangeError> {
        let mut told: Option<ExchangeError> = None;
        for scheme in self.schemes(shared) {
            match self.probe_scheme(shared, scheme).await {
                Ok(base) => return Ok(base),
                // What the preferred scheme came to is told, unless that only says that it is the wrong one.
                Err(error) if told.as_ref().is_none_or(wants_tls) => told = Some(error),
                Err(_) => {}
            }
        }
        Err(told.unwrap_or_else(|| self.not_a_host()))
    }

    fn not_a_host(&self) -> ExchangeError {
        ExchangeError::Unexpected {
            host: self.name.clone(),
            request: "GET /v2/".to_owned(),
            expected: "a host name with at most a port",
        }
    }

    /// HTTPS alone, but for hosts on this machine and those that the user marked insecure.
    fn schemes(&self, shared: &Shared) -> &'static [&'static str] {
        match (is_loopback(&self.name), self.insecure) {
            (true, _) if self.has_certificates(shared) => &["https"],
            (true, _) => &["http", "https"],
            (false, true) => &["https", "http"],
            (false, false) => &["https"],
        }
    }

    fn has_certificates(&self, shared: &Shared) -> bool {
        tls::host_folder(&shared.config.certificate_folders, &self.name).is_some()
    }

    async fn probe_scheme(&self, shared: &Shared, scheme: &str) -> Result<Url, ExchangeError> {
        let api_host = if self.name == HUB.0 { HUB.1 } else { &self.name };
        let base = Url::parse(&format!("{scheme}://{api_host}/")).map_err(|_| self.not_a_host())?;
        let url = base.join("v2/").map_err(|_| self.not_a_host())?;
        let line = format!("{} {}", Method::GET, url.path());
        let client = self.client(shared, &url, false)?;
        let kind = self.client_kind(&url, false);
        shared.count_request();
        let sent = client.get(url).timeout(shared.config.stall_timeout).send().await;
        let response = sent.map_err(|error| match ExchangeError::of_reqwest(&self.name, &line, error) {
            // In TLS 1.3 a host that got no certificate breaks off, and its reason may come too late to be read.
            ExchangeError::Broken { host, source, .. } if shared.lacks_certificate(&kind) => {
                ExchangeError::ClientCertificate { host, source }
            }
            error => error,
        })?;
        let status = response.status();
        if super::retry::is_passing(status) {
            return Err(ExchangeError::Refused(Box::new(
                refusal(shared, &self.name, "", line, response).await,
            )));
        }
        // See `wants_tls`.
        if status == StatusCode::BAD_REQUEST && scheme == "http" {
            return Err(ExchangeError::Refused(Box::new(
                refusal(shared, &self.name, "", line, response).await,
            )));
        }
        let challenge = challenge::read(response.headers());
        match challenge {
            Some(challenge) => self.set_challenge(challenge),
            None if status == StatusCode::UNAUTHORIZED => {
                return Err(ExchangeError::Unexpected {
                    host: self.name.clone(),
                    request: line,
                    expected: "a Basic or Bearer challenge with its 401",
                });
            }
            None => {}
        }
        Ok(base)
    }
}

/// Go's servers answer 400 to a client that speaks HTTP where they expect TLS.
fn wants_tls(error: &ExchangeError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.status == 400)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is one assignment, so a panic elsewhere left the value whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
