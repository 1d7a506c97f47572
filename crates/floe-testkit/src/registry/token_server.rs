//! A server that gives out a registry's tokens.
//!
//! Sources: distribution's `docs/spec/auth/{token,jwt,oauth}.md`. A token is a JWT signed with ES256 whose header
//! carries the certificate that the registry trusts. GET with Basic credentials, or without any for a token that
//! permits nothing; POST with a form, grants `password` and `refresh_token`.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::authority::{Authority, AuthorityError};
use super::{PASSWORD, USERNAME};
use crate::http::server::{Request, Response, Server, parse_pairs};

/// The `service` that tokens are for.
pub(super) const SERVICE: &str = "floe test registry";

/// The `iss` of tokens.
pub(super) const ISSUER: &str = "floe test token server";

/// The refresh token, which is also the identity token, of [`USERNAME`]. It never changes.
const REFRESH_TOKEN: &str = "floe-test-refresh-token";

/// A token that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// `GET`, or the grant type of a POST.
    pub grant: String,
    /// The user, or nobody.
    pub account: Option<String>,
    /// The scopes as they were asked for, in order, split at spaces.
    pub scopes: Vec<String>,
}

/// A running token server.
#[derive(Debug)]
pub struct TokenServer {
    server: Server,
    issued: Arc<Mutex<Vec<Issued>>>,
}

impl TokenServer {
    /// The identity token that `docker login` would have stored for [`USERNAME`].
    pub const IDENTITY_TOKEN: &'static str = REFRESH_TOKEN;

    /// Starts to issue tokens that are valid for `lifetime`, signed by `authority`.
    pub(super) fn start(authority: Authority, lifetime: Duration) -> io::Result<Self> {
        let issued = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&issued);
        let server = Server::start(move |request| Some(answer(request, &authority, lifetime, &log)))?;
        Ok(Self { server, issued })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The URL that a registry names as its realm.
    pub fn realm(&self) -> String {
        format!("http://{}/token", self.address())
    }

    /// All tokens so far, in order.
    pub fn issued(&self) -> Vec<Issued> {
        lock(&self.issued).clone()
    }
}

fn lock(issued: &Mutex<Vec<Issued>>) -> MutexGuard<'_, Vec<Issued>> {
    issued.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(
    request: &mut Request<'_>,
    authority: &Authority,
    lifetime: Duration,
    log: &Mutex<Vec<Issued>>,
) -> Response {
    let (grant, account, pairs) = match request.method.as_str() {
        "GET" => {
            let account = request.headers.find("authorization").map(|header| {
                let expected = format!("Basic {}", STANDARD.encode(format!("{USERNAME}:{PASSWORD}")));
                (header == expected).then(|| USERNAME.to_owned())
            });
            ("GET".to_owned(), account, request.query.clone())
        }
        "POST" => {
            let mut form = String::new();
            if request.body.read_to_string(&mut form).is_err() {
                return refusal(400, "the form is not text");
            }
            let pairs = parse_pairs(&form);
            let value = |name: &str| first(&pairs, name).unwrap_or_default();
            let valid = match value("grant_type") {
                "password" => value("username") == USERNAME && value("password") == PASSWORD,
                "refresh_token" => value("refresh_token") == REFRESH_TOKEN,
                _ => false,
            };
            let account = Some(valid.then(|| USERNAME.to_owned()));
            (value("grant_type").to_owned(), account, pairs)
        }
        _ => return refusal(405, "only GET and POST"),
    };
    let account = match account {
        Some(None) => return refusal(401, "wrong credentials"),
        Some(Some(account)) => Some(account),
        None => None,
    };
    if first(&pairs, "service") != Some(SERVICE) {
        return refusal(400, "unknown service");
    }
    let scopes = pairs.iter().filter(|(name, _)| name == "scope");
    let scopes: Vec<String> = scopes.flat_map(|(_, value)| value.split(' ').map(str::to_owned)).collect();
    lock(log).push(Issued { grant: grant.clone(), account: account.clone(), scopes: scopes.clone() });

    let access = if account.is_some() { access_of(&scopes) } else { Vec::new() };
    let Ok(token) = sign(authority, account.as_deref().unwrap_or_default(), &access, lifetime) else {
        return refusal(500, "openssl cannot sign");
    };
    let mut body = json!({ "expires_in": lifetime.as_secs() });
    // oauth.md: a POST is answered with `access_token`; token.md: a GET with `token`.
    let field = if grant == "GET" { "token" } else { "access_token" };
    body[field] = token.into();
    let wants_refresh = first(&pairs, "offline_token") == Some("true")
        || first(&pairs, "access_type") == Some("offline")
        || grant == "refresh_token";
    if account.is_some() && wants_refresh {
        body["refresh_token"] = REFRESH_TOKEN.into();
    }
    Response::new(200).with_content("application/json", body.to_string())
}

fn refusal(status: u16, why: &str) -> Response {
    let body = json!({ "errors": [{ "code": "UNAUTHORIZED", "message": why }] });
    Response::new(status).with_content("application/json", body.to_string())
}

fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// `repository:a/b:pull,push` as an entry of the claim `access`; what cannot be read is left out, and so not
/// permitted.
fn access_of(scopes: &[String]) -> Vec<Value> {
    let parsed = scopes.iter().filter_map(|scope| {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let actions: Vec<&str> = actions.split(',').collect();
        Some(json!({ "type": kind, "name": name, "actions": actions }))
    });
    parsed.collect()
}

fn sign(
    authority: &Authority,
    subject: &str,
    access: &[Value],
    lifetime: Duration,
) -> Result<String, AuthorityError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [authority.x5c()?] });
    let claims = json!({
        "iss": ISSUER,
        "sub": subject,
        "aud": SERVICE,
        "exp": now + lifetime.as_secs(),
        // The registry's clock is the same one; a second of grace for rounding.
        "nbf": now.saturating_sub(1),
        "iat": now,
        "jti": format!("{now}"),
        "access": access,
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(&header), encode(&claims));
    let signature = authority.sign(&text)?;
    Ok(format!("{text}.{signature}"))
}
