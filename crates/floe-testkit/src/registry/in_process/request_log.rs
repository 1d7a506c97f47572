//! What was asked of a registry, for budgets.

use super::Endpoint;

/// One request, as it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, upper case.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query's pairs in order, decoded.
    pub query: Vec<(String, String)>,
    /// What the path is about.
    pub endpoint: Endpoint,
    /// The response's status; `None` when the connection was cut before it.
    pub status: Option<u16>,
    /// How many bytes of content the registry read of the request.
    pub body_len: u64,
    /// How many bytes of content the response had; for HEAD, what a GET would have had.
    pub response_len: u64,
}
