//! Credentials: who floe is to a registry, found wherever any `login` left it.
//!
//! A host and a repository come in; a [`Credential`] goes out. [`find()`] walks the sources in the order of
//! containers-auth.json(5) and Docker's `config.json`; [`login`] and [`logout`] write where podman and docker read, and
//! [`logins`] lists what is there.

mod auth_file;
mod helper;
mod list;
mod login_name;
mod lookup;
mod secret;
mod store;

pub use auth_file::MalformedEntry;
pub use helper::HelperError;
pub use list::{Login, logins};
pub use login_name::{LoginName, ParseLoginNameError};
pub use lookup::{CredentialEnvironment, CredentialError, CredentialSources, find};
pub(in crate::registry) use secret::TOKEN_USER;
pub use secret::{Credential, Secret};
pub use store::{LoginPlace, StoreError, login, logout, logout_all};
