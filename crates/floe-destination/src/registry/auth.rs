//! The `Authorization` of a request: Basic, or a token for its scope.
//!
//! Flow: distribution's `docs/spec/auth/{token,oauth,scope}.md`. A scope comes in, a header value goes out; tokens
//! are kept for each scope until they expire, and asked for once however many requests wait.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::challenge::Challenge;
use super::credentials::{Credential, CredentialError, Secret, TOKEN_USER};
use super::host::Host;
use super::realm::{self, RealmError};
use super::response::{ExchangeError, read_bounded, refusal};
use super::shared::Shared;

/// A token is trusted for at least this long, whatever its server says (token.md: "for compatibility").
const SHORTEST_TOKEN_LIFE: Duration = Duration::from_secs(60);

/// A token that ends sooner than this is not used any more: the request would arrive too late.
const TOKEN_MARGIN: Duration = Duration::from_secs(5);

/// More than any token server's answer.
const LONGEST_TOKEN_ANSWER: u64 = 1 << 20;

/// What a request needs to be allowed to do: one or more `repository:<path>:<actions>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope(Vec<String>);

impl Scope {
    /// The registry as a whole.
    pub(super) fn registry() -> Self {
        Self(Vec::new())
    }

    pub(super) fn pull(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:pull")])
    }

    pub(super) fn push(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:pull,push")])
    }

    pub(super) fn delete(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:pull,delete")])
    }

    /// The push scope comes first: some token servers grant only that one.
    pub(super) fn mount(repository: &str, source: &str) -> Self {
        let mut scope = Self::push(repository);
        scope.0.push(format!("repository:{source}:pull"));
        scope
    }
}

/// A request could not be authorized.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The login files or helpers could not be read.
    #[error("cannot find the login for '{host}'")]
    Credentials {
        /// The registry.
        host: String,
        /// Why.
        #[source]
        source: CredentialError,
    },
    /// The registry names a token server that credentials are not sent to.
    #[error(transparent)]
    Realm(RealmError),
    /// The token server answered 200 without a token.
    #[error("the token server '{realm}' of '{host}' answered without a token")]
    NoToken {
        /// The registry.
        host: String,
        /// The token server's host.
        realm: String,
    },
    /// The token server refused or could not be reached.
    #[error("cannot get a token for '{host}'")]
    TokenServer {
        /// The registry.
        host: String,
        /// Why.
        #[source]
        source: Box<ExchangeError>,
    },
}

/// The tokens of one host and one credential.
#[derive(Default)]
pub(super) struct Tokens {
    by_scope: BTreeMap<Scope, Token>,
    /// The identity token that the server gave out in exchange for ours.
    rotated: Option<Secret>,
}

struct Token {
    value: Secret,
    expires: Instant,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// The value of `Authorization` for a request; `None` when the registry asks for nothing or nothing is known.
///
/// `rejected` is the value that the registry just answered 401 to: it is not used again.
pub(super) async fn authorization(
    shared: &Shared,
    host: &Host,
    account: &Account,
    scope: &Scope,
    rejected: Option<&HeaderValue>,
) -> Result<Option<HeaderValue>, AuthError> {
    let (realm, service) = match host.challenge() {
        Challenge::None => return Ok(None),
        Challenge::Basic => return Ok(basic(&account.credential)),
        Challenge::Bearer { realm, service } => (realm, service),
    };
    if let Credential::RegistryToken(token) = &account.credential {
        return Ok(bearer(token));
    }
    // Held while the token is fetched: requests that wait for the same token ask for it once.
    let mut tokens = account.tokens.lock().await;
    if let Some(token) = tokens.by_scope.get(scope) {
        let header = bearer(&token.value);
        let is_fresh = token.expires.saturating_duration_since(Instant::now()) > TOKEN_MARGIN;
        if is_fresh && header.as_ref() != rejected {
            return Ok(header);
        }
    }
    realm::check(host, &realm).await.map_err(AuthError::Realm)?;
    let identity = match (&account.credential, &tokens.rotated) {
        (Credential::IdentityToken { username, token }, rotated) => {
            Some((username.clone(), rotated.clone().unwrap_or_else(|| token.clone())))
        }
        _ => None,
    };
    let request = TokenRequest { shared, host, realm: &realm, service: service.as_deref(), scope };
    let asked = Instant::now();
    let answer = request.send(&account.credential, identity).await?;
    let value = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let value =
        Secret::new(value.ok_or_else(|| AuthError::NoToken {
            host: host.name().to_owned(),
            realm: realm::name(&realm),
        })?);
    shared.hidden.add(&value);
    if let Some(rotated) = answer.refresh_token.filter(|token| !token.is_empty()).map(Secret::new) {
        shared.hidden.add(&rotated);
        tokens.rotated = Some(rotated);
    }
    let life = Duration::from_secs(answer.expires_in.unwrap_or(0)).max(SHORTEST_TOKEN_LIFE);
    let header = bearer(&value);
    tokens.by_scope.insert(scope.clone(), Token { value, expires: asked + life.min(MAX_TOKEN_LIFE) });
    Ok(header)
}

/// Longer than any command runs, and short enough for every clock to add.
const MAX_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Who speaks to a host, with the tokens that were given to them.
#[derive(Default)]
pub(super) struct Account {
    pub(super) credential: Credential,
    tokens: tokio::sync::Mutex<Tokens>,
}

impl Account {
    pub(super) fn new(credential: Credential) -> Self {
        Self { credential, tokens: tokio::sync::Mutex::default() }
    }
}

struct TokenRequest<'a> {
    shared: &'a Shared,
    host: &'a Host,
    realm: &'a Url,
    service: Option<&'a str>,
    scope: &'a Scope,
}

impl TokenRequest<'_> {
    async fn send(
        &self,
        credential: &Credential,
        identity: Option<(Option<String>, Secret)>,
    ) -> Result<Answer, AuthError> {
        let Some((username, token)) = identity else {
            return self.fetch(self.by_get(credential)).await;
        };
        match self.fetch(self.by_post(&token)).await {
            Err(AuthError::TokenServer { source, .. }) if knows_no_post(&source) => {
                let username = username.unwrap_or_else(|| TOKEN_USER.to_owned());
                self.fetch(self.by_get(&Credential::Password { username, password: token })).await
            }
            result => result,
        }
    }

    /// `GET realm?service=&scope=&account=` with Basic (token.md).
    fn by_get(&self, credential: &Credential) -> Outgoing {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = self.service {
                query.append_pair("service", service);
            }
            for scope in &self.scope.0 {
                query.append_pair("scope", scope);
            }
            if let Credential::Password { username, .. } = credential {
                query.append_pair("account", username);
            }
        }
        Outgoing { method: Method::GET, url, authorization: basic(credential), form: None }
    }

    /// The form of a refresh (oauth.md).
    fn by_post(&self, token: &Secret) -> Outgoing {
        let mut form = Url::parse("form:").expect("a scheme alone is a URL");
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("service", self.service.unwrap_or_default())
            .append_pair("client_id", "floe")
            .append_pair("scope", &self.scope.0.join(" "))
            .append_pair("refresh_token", token.reveal());
        let form = form.query().map(Secret::new);
        Outgoing { method: Method::POST, url: self.realm.clone(), authorization: None, form }
    }

    async fn fetch(&self, outgoing: Outgoing) -> Result<Answer, AuthError> {
        let failure =
            |source| AuthError::TokenServer { host: self.host.name().to_owned(), source: Box::new(source) };
        let mut failures = 0;
        loop {
            let error = match self.attempt(&outgoing).await {
                Ok(body) => {
                    return serde_json::from_slice(&body).map_err(|_| AuthError::NoToken {
                        host: self.host.name().to_owned(),
                        realm: realm::name(self.realm),
                    });
                }
                Err(error) => error,
            };
            failures += 1;
            let wait = self.shared.config.retry.wait(failures, error.retry_after());
            match wait.filter(|_| error.is_passing()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(failure(error)),
            }
        }
    }

    async fn attempt(&self, outgoing: &Outgoing) -> Result<Vec<u8>, ExchangeError> {
        let client = self.host.client(self.shared, &outgoing.url, false)?;
        let mut request = client
            .request(outgoing.method.clone(), outgoing.url.clone())
            .header(ACCEPT, "application/json")
            .timeout(self.shared.config.stall_timeout);
        if let Some(authorization) = &outgoing.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(form) = &outgoing.form {
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.reveal().to_owned());
        }
        let realm = realm::name(self.realm);
        self.shared.count_request();
        let response = request
            .send()
            .await
            .map_err(|error| ExchangeError::of_reqwest(&realm, &outgoing.line(), error))?;
        if response.status() != StatusCode::OK {
            return Err(ExchangeError::Refused(Box::new(
                refusal(self.shared, &realm, "", outgoing.line(), response).await,
            )));
        }
        read_bounded(
            response,
            LONGEST_TOKEN_ANSWER,
            &realm,
            &outgoing.line(),
            self.shared.config.stall_timeout,
        )
        .await
    }
}

/// One request to a token server. No `Debug`: it holds secrets.
struct Outgoing {
    method: Method,
    url: Url,
    authorization: Option<HeaderValue>,
    form: Option<Secret>,
}

impl Outgoing {
    fn line(&self) -> String {
        format!("{} {}", self.method, self.url.path())
    }
}

/// Servers without oauth.md answer a POST with 404; some with 405.
fn knows_no_post(error: &ExchangeError) -> bool {
    matches!(error, ExchangeError::Refused(refusal) if matches!(refusal.status, 404 | 405))
}

fn basic(credential: &Credential) -> Option<HeaderValue> {
    if let Credential::RegistryToken(token) = credential {
        return bearer(token);
    }
    sensitive(&format!("Basic {}", STANDARD.encode(credential.basic_pair()?.reveal())))
}

fn bearer(token: &Secret) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {}", token.reveal()))
}

/// A token with bytes that no header can carry is no token; the registry's 401 says so.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_push_scope_comes_first() {
        assert_eq!(Scope::mount("a/b", "base").0, ["repository:a/b:pull,push", "repository:base:pull"]);
    }
}
