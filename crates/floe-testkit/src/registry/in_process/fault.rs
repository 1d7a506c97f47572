//! Failing on demand.

use std::fmt;
use std::time::Duration;

use super::Endpoint;

/// A request that has just come in, for a rule to decide about.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// What the path is about.
    pub endpoint: Endpoint,
    /// How many requests with this method and endpoint came before; the first is 0.
    pub earlier: usize,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is answered with this status and an error body, and nothing else happens.
    Status {
        /// The status code, such as 429 or 503.
        status: u16,
        /// The seconds in a `Retry-After`; no such field when `None`.
        retry_after: Option<u64>,
    },
    /// The connection is cut when this many bytes of its body were read and kept. A shorter body is unharmed.
    CutRequest {
        /// Bytes of content.
        after: u64,
    },
    /// It is done, but the connection is cut instead of an answer.
    LoseResponse,
    /// The connection is cut when this many bytes of the response's content were sent.
    CutResponse {
        /// Bytes of content.
        after: u64,
    },
    /// It waits before it is done.
    Delay(Duration),
}

/// The rule that decides about each request.
pub(super) struct Rule(Box<dyn Fn(&Incoming<'_>) -> Fault + Send + Sync>);

impl Rule {
    pub(super) fn new(rule: impl Fn(&Incoming<'_>) -> Fault + Send + Sync + 'static) -> Self {
        Self(Box::new(rule))
    }

    pub(super) fn decide(&self, incoming: &Incoming<'_>) -> Fault {
        (self.0)(incoming)
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self::new(|_| Fault::None)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Rule")
    }
}
