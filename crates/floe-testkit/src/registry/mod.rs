//! Registries to push to and pull from.
//!
//! [`distribution`] is the real one that most registries descend from, with any authentication and with TLS.
//! [`in_process`] is ours: it has the referrers API, a log of its requests, and fails on demand.

mod authority;
mod token_server;

pub mod distribution;
pub mod in_process;

pub use authority::{Authority, AuthorityError};
pub use token_server::{Issued, TokenServer};

/// The name of the one user that a registry with authentication knows.
pub const USERNAME: &str = "floe";

/// The password of [`USERNAME`]; the space and the colon are there since credentials are often split at one.
pub const PASSWORD: &str = "open sesame:1";
