//! One request and its answer: authorized, redirected by hand, tried again.
//!
//! A [`Call`] comes in; an [`Answer`] goes out, or an [`ExchangeError`] that names the host, the request and what the
//! registry said. `Authorization` is only ever sent to the registry's own origin (scheme, host and port).

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};

use super::auth::{self, Account, Scope};
use super::challenge;
use super::error_body;
use super::host::Host;
use super::response::{ExchangeError, read_bounded, refusal};
use super::shared::Shared;

/// Longest chain of redirects; registries use one, to a blob store.
const MOST_REDIRECTS: usize = 5;

/// Bodies of answers that carry nothing of interest, such as that of a 202.
pub(super) const SMALL_ANSWER: u64 = 64 << 10;

/// A request with a body that fits in memory.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Statuses beside 2xx that the caller understands.
    pub(super) understood: &'static [u16],
    /// The most bytes of the answer's body that are read.
    pub(super) limit: u64,
    /// How long the answer may take; the configuration's `stall_timeout` when `None`.
    pub(super) patience: Option<Duration>,
}

impl Call {
    pub(super) fn new(method: Method, url: Url) -> Self {
        let headers = HeaderMap::new();
        Self {
            method,
            url,
            headers,
            body: Bytes::new(),
            understood: &[],
            limit: SMALL_ANSWER,
            patience: None,
        }
    }

    pub(super) fn line(&self) -> String {
        error_body::request_line(&self.method, self.url.path())
    }
}

/// An answer with its whole body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The URL that answered, after redirects: `Location` is relative to it.
    pub(super) url: Url,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A header field as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A repository on a host, and who speaks to it.
pub(super) struct Line<'a> {
    pub(super) shared: &'a Shared,
    pub(super) host: &'a Host,
    pub(super) account: &'a Account,
    pub(super) repository: &'a str,
}

impl Line<'_> {
    /// The URL of a path such as `v2/`; makes the first contact when there was none.
    pub(super) async fn url(&self, path: &str) -> Result<Url, ExchangeError> {
        let base = self.host.connect(self.shared).await?;
        base.join(path).map_err(|_| self.unexpected(path, "a path that makes a URL"))
    }

    /// The URL of something in the repository, such as `tags/list`.
    pub(super) async fn repository_url(&self, path: &str) -> Result<Url, ExchangeError> {
        self.url(&format!("v2/{}/{path}", self.repository)).await
    }

    /// An answer that says yes but lacks something.
    pub(super) fn unexpected(&self, request: &str, expected: &'static str) -> ExchangeError {
        let (host, request) = (self.host.name().to_owned(), request.to_owned());
        ExchangeError::Unexpected { host, request, expected }
    }

    /// Sends a call until it is answered, at most as often as the policy allows.
    pub(super) async fn exchange(&self, call: &Call, scope: &Scope) -> Result<Answer, ExchangeError> {
        let mut failures = 0;
        loop {
            let error = match self.exchange_once(call, scope).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failures += 1;
            if !error.is_passing() || !self.wait(&error, failures).await {
                return Err(error);
            }
        }
    }

    /// Sends a call once, for questions whose answer is only a help.
    pub(super) async fn exchange_once(&self, call: &Call, scope: &Scope) -> Result<Answer, ExchangeError> {
        let response = self.open_once(call, scope).await?;
        self.read(call, response).await
    }

    async fn read(&self, call: &Call, response: Response) -> Result<Answer, ExchangeError> {
        let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
        let body = if call.method == Method::HEAD {
            Vec::new()
        } else {
            let patience = self.shared.config.stall_timeout;
            read_bounded(response, call.limit, self.host.name(), &call.line(), patience).await?
        };
        Ok(Answer { status, headers, url, body })
    }

    /// Sends a call once and leaves the body to be read by the caller.
    pub(super) async fn open_once(&self, call: &Call, scope: &Scope) -> Result<Response, ExchangeError> {
        let mut rejected = None;
        loop {
            if let Some(response) = self.attempt(call, scope, &mut rejected).await? {
                return Ok(response);
            }
        }
    }

    /// Waits as the policy says before the next attempt; false when there is none, after this many failures.
    pub(super) async fn wait(&self, error: &ExchangeError, failures: u32) -> bool {
        let asked = error.retry_after();
        let Some(wait) = self.shared.config.retry.wait(failures, asked) else { return false };
        if asked.is_some() {
            self.host.pause(wait);
        }
        self.shared.tell_retry(self.host.name(), error, wait);
        tokio::time::sleep(wait).await;
        true
    }

    /// Sends a call once. `None` asks the caller to send it again at once, with another token: `rejected` holds the
    /// value of `Authorization` that was refused, and is refused only once.
    async fn attempt(
        &self,
        call: &Call,
        scope: &Scope,
        rejected: &mut Option<Option<HeaderValue>>,
    ) -> Result<Option<Response>, ExchangeError> {
        self.host.connect(self.shared).await?;
        self.host.wait_for_pause().await;
        let permit = self.host.requests.acquire().await.expect("the semaphore is never closed");
        let authorization = self.authorize(&call.line(), scope, rejected.as_ref()).await?;
        let response = self.follow(call, authorization.as_ref()).await?;
        drop(permit);
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED && rejected.is_none() && self.host.is_own(response.url()) {
            self.learn(&response);
            *rejected = Some(authorization);
            return Ok(None);
        }
        if status.is_success() || call.understood.contains(&status.as_u16()) {
            return Ok(Some(response));
        }
        let refusal = refusal(self.shared, self.host.name(), self.repository, call.line(), response).await;
        Err(ExchangeError::Refused(Box::new(refusal)))
    }

    /// Takes the challenge of a 401 over: some registries name another one for each path.
    pub(super) fn learn(&self, response: &Response) {
        if let Some(challenge) = challenge::read(response.headers()) {
            self.host.set_challenge(challenge);
        }
    }

    /// The value of `Authorization`, another one than was rejected before.
    pub(super) async fn authorize(
        &self,
        line: &str,
        scope: &Scope,
        rejected: Option<&Option<HeaderValue>>,
    ) -> Result<Option<HeaderValue>, ExchangeError> {
        let rejected = rejected.and_then(Option::as_ref);
        auth::authorization(self.shared, self.host, self.account, scope, rejected).await.map_err(|source| {
            ExchangeError::Authorization { request: line.to_owned(), source: Box::new(source) }
        })
    }

    /// Follows redirects of GET and HEAD by hand: `Authorization` stays with the registry's own origin.
    async fn follow(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, ExchangeError> {
        let mut url = call.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let client = self.host.client(self.shared, &url, false)?;
            let mut request = client.request(call.method.clone(), url.clone()).headers(call.headers.clone());
            if let Some(authorization) = authorization.filter(|_| self.host.is_own(&url)) {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            if call.method != Method::GET && call.method != Method::HEAD {
                request = request.body(call.body.clone());
            }
            self.shared.count_request();
            let patience = call.patience.unwrap_or(self.shared.config.stall_timeout);
            let response = match tokio::time::timeout(patience, request.send()).await {
                Ok(sent) => {
                    sent.map_err(|error| ExchangeError::of_reqwest(self.host.name(), &call.line(), error))?
                }
                Err(_) => {
                    let (host, request) = (self.host.name().to_owned(), call.line());
                    return Err(ExchangeError::Stalled { host, request, patience });
                }
            };
            let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            if !is_redirect || !(call.method == Method::GET || call.method == Method::HEAD) {
                return Ok(response);
            }
            url = self.redirect(&url, &response, call)?;
        }
        Err(self.bad_redirect(call, "more often than any registry needs"))
    }

    fn redirect(&self, from: &Url, response: &Response, call: &Call) -> Result<Url, ExchangeError> {
        let target = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let target = target.and_then(|target| from.join(target).ok());
        match target {
            Some(target) if target.scheme() == "https" => Ok(target),
            Some(target) if target.scheme() == "http" && from.scheme() == "http" => Ok(target),
            Some(target) if target.scheme() == "http" => {
                Err(self.bad_redirect(call, "from HTTPS to plain HTTP"))
            }
            _ => Err(self.bad_redirect(call, "to something that is no HTTP URL")),
        }
    }

    fn bad_redirect(&self, call: &Call, reason: &'static str) -> ExchangeError {
        ExchangeError::Redirect { host: self.host.name().to_owned(), request: call.line(), reason }
    }
}
