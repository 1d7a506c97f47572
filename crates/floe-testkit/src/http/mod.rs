//! As much of HTTP/1.1 as tests need, on threads and without dependencies: RFC 9112.
//!
//! The server is what the in-process registry and the token server listen with; the client is what tests fetch a
//! container's page with. Neither knows compression, HTTP/2 or TLS. Being our own, the server can cut a connection at
//! a chosen byte, which libraries take care to prevent.

pub mod body;
pub mod client;
pub mod headers;
pub mod server;
