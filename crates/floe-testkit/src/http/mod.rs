//! As much of HTTP/1.1 as tests need, on threads and without dependencies: RFC 9112.
//!
//! The server is what the in-process registry and the token server listen with; the client is what tests fetch a
//! container's page with. Of the proxies one spoils what passes, and one is what `HTTP_PROXY` names. None knows
//! compression, HTTP/2 or TLS. Being our own, they can cut a connection at a chosen byte, which libraries take care to
//! prevent.

pub mod client;
pub mod fault_proxy;
pub mod forward_proxy;
pub mod server;

pub mod body;
pub mod headers;
mod listener;
