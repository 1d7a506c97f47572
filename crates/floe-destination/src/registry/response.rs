//! What comes back from a host: a body within its bounds, a refusal in words, or an error.
//!
//! A response comes in; bytes go out, at most as many as the caller allows and only while something keeps coming, or an
//! [`ExchangeError`] that names the host, the request and what went wrong.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use rustls::AlertDescription;

use super::auth::AuthError;
use super::error_body::{self, LONGEST_ERROR_BODY, Refusal};
use super::retry::retry_after;
use super::shared::Shared;
use super::tls::TlsError;

/// A request got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No connection: the host is unknown or down.
    #[error("cannot connect to '{host}'")]
    Connect {
        /// The host.
        host: String,
        /// The reason.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// No TLS: the host's certificate comes from nobody trusted, or the host speaks plain HTTP.
    #[error("cannot trust '{host}'")]
    Untrusted {
        /// The host.
        host: String,
        /// The reason.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// No TLS: the host does not accept the client's certificate, or misses one.
    #[error("'{host}' wants a client certificate that it trusts")]
    ClientCertificate {
        /// The host.
        host: String,
        /// What the host said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection broke before the answer was there, whole.
    #[error("the connection to '{host}' broke during {request}")]
    Broken {
        /// The host.
        host: String,
        /// The method and path.
        request: String,
        /// The reason.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Nothing came for too long.
    #[error("'{host}' sent nothing for {} s during {request}", .patience.as_secs())]
    Stalled {
        /// The host.
        host: String,
        /// The method and path.
        request: String,
        /// How long floe waited.
        patience: Duration,
    },
    /// The registry said no.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The request could not be authorized.
    #[error("cannot authorize {request}")]
    Authorization {
        /// The method and path.
        request: String,
        /// Why.
        #[source]
        source: Box<AuthError>,
    },
    /// The host's certificates could not be used.
    #[error("cannot set up TLS for '{host}'")]
    Tls {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: Box<TlsError>,
    },
    /// A redirect that is malformed, endless, or leads from HTTPS to HTTP.
    #[error("'{host}' redirects {request} {reason}")]
    Redirect {
        /// The host.
        host: String,
        /// The method and path.
        request: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An answer longer than any real one; reading it could exhaust the memory.
    #[error("'{host}' sent more than {limit} bytes to {request}")]
    TooLong {
        /// The host.
        host: String,
        /// The method and path.
        request: String,
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// The answer says yes but lacks what the specification requires.
    #[error("'{host}' answered {request} without what was expected: {expected}")]
    Unexpected {
        /// The host.
        host: String,
        /// The method and path.
        request: String,
        /// What was expected.
        expected: &'static str,
    },
}

impl ExchangeError {
    /// Sorts an error of the HTTP library.
    pub(super) fn of_reqwest(host: &str, request: &str, error: reqwest::Error) -> Self {
        let host = host.to_owned();
        let is_connect = error.is_connect();
        let (is_tls, alert) = match tls_error(&error) {
            Some(rustls::Error::AlertReceived(alert)) => (true, Some(*alert)),
            tls => (tls.is_some(), None),
        };
        let source = Reason::of(&error);
        match alert {
            // In TLS 1.3 the client takes the handshake for done before the host has looked at its certificate.
            Some(alert) if is_about_client(alert) => Self::ClientCertificate { host, source },
            _ if is_connect && is_tls => Self::Untrusted { host, source },
            _ if is_connect => Self::Connect { host, source },
            _ => Self::Broken { host, request: request.to_owned(), source },
        }
    }

    /// Whether another attempt may succeed.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Stalled { .. } => true,
            Self::Refused(refusal) => refusal.is_passing(),
            Self::Untrusted { .. }
            | Self::ClientCertificate { .. }
            | Self::Authorization { .. }
            | Self::Tls { .. }
            | Self::Redirect { .. }
            | Self::TooLong { .. }
            | Self::Unexpected { .. } => false,
        }
    }

    /// How long the registry asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// The one that an error of this crate comes down to, a token server's included; `None` where no exchange failed.
    #[must_use]
    pub fn innermost<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let (mut cause, mut innermost) = (Some(error), None);
        while let Some(error) = cause {
            // Boxed where the error would contain itself.
            let boxed = || error.downcast_ref::<Box<Self>>().map(AsRef::as_ref);
            innermost = error.downcast_ref::<Self>().or_else(boxed).or(innermost);
            cause = error.source();
        }
        innermost
    }

    /// The host that refused or could not be reached, where the error is about one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.host),
            Self::Authorization { .. } => None,
            Self::Connect { host, .. }
            | Self::Untrusted { host, .. }
            | Self::ClientCertificate { host, .. }
            | Self::Broken { host, .. }
            | Self::Stalled { host, .. }
            | Self::Tls { host, .. }
            | Self::Redirect { host, .. }
            | Self::TooLong { host, .. }
            | Self::Unexpected { host, .. } => Some(host),
        }
    }

    /// The registry's answer, when it gave one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

/// What an error of the HTTP library comes down to: what the system, TLS or the other side said. Above it are only the
/// library's own layers, and a URL, which may be signed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Reason(String);

impl Reason {
    fn of(error: &reqwest::Error) -> Box<dyn Error + Send + Sync> {
        let mut innermost: &dyn Error = error;
        while let Some(cause) = innermost.source() {
            innermost = cause;
        }
        // An error without a cause is the library's own, with the URL in its message.
        let is_outermost = error.source().is_none();
        Box::new(Self(if is_outermost { "the request failed".to_owned() } else { innermost.to_string() }))
    }
}

/// The failure of TLS among the causes; I/O errors carry it inside each other.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.downcast_ref().or_else(|| tls_error(carried?)).or_else(|| tls_error(error.source()?))
}

/// RFC 8446, section 6.2: what a host says that has looked at a client's certificate.
fn is_about_client(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
    )
}

/// Reads an answer that says no; a body that breaks off still leaves the status.
pub(super) async fn refusal(
    shared: &Shared,
    host: &str,
    repository: &str,
    request: String,
    response: Response,
) -> Refusal {
    let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
    // The body only explains: 10 s without it, and the status has to do.
    let patience = Duration::from_secs(10);
    let body = read_bounded(response, LONGEST_ERROR_BODY, host, &request, patience).await;
    Refusal {
        host: host.to_owned(),
        repository: repository.to_owned(),
        errors: error_body::parse(&body.unwrap_or_default(), |text| shared.hidden.blank(text)),
        request,
        status,
        retry_after,
    }
}

/// Reads a whole body, of at most `limit` bytes, while something keeps coming.
pub(super) async fn read_bounded(
    mut response: Response,
    limit: u64,
    host: &str,
    request: &str,
    patience: Duration,
) -> Result<Vec<u8>, ExchangeError> {
    let too_long = || ExchangeError::TooLong { host: host.to_owned(), request: request.to_owned(), limit };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = next_chunk(&mut response, host, request, patience).await? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The next bytes of a body; `None` at its end.
pub(super) async fn next_chunk(
    response: &mut Response,
    host: &str,
    request: &str,
    patience: Duration,
) -> Result<Option<Bytes>, ExchangeError> {
    let (host, request) = (host.to_owned(), request.to_owned());
    match tokio::time::timeout(patience, response.chunk()).await {
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(error)) => {
            let source = Reason::of(&error);
            Err(ExchangeError::Broken { host, request, source })
        }
        Err(_) => Err(ExchangeError::Stalled { host, request, patience }),
    }
}
