//! Registries: push, pull, tags, referrers, and every login that a user may have.
//!
//! A [`Registry`] is made once from a [`RegistryConfig`] and opens a [`Repository`] for a reference. A
//! [`PushSession`] sends only what is missing; a `Repository` is a `BlobSource` for pulls. Below them: one blob's upload
//! or mount, manifests, tags and referrers; below those one request with its authorization and retries; at the
//! bottom one host with its TLS and its place in `registries.conf`. Errors name the host, the repository, the
//! status and the registry's words, and never hold a secret.

pub mod credentials;

mod blob_mount;
mod blob_upload;
mod destination;
mod manifest;
mod pull;
mod push;
mod referrers;
mod source;
mod tags;
mod upload_feed;
mod uploading;

mod client;
mod exchange;

mod auth;
mod challenge;
mod host;
mod realm;
mod registries_conf;

mod authority;
mod config;
mod error_body;
mod hidden;
mod response;
mod retry;
mod shared;
mod tls;

pub use auth::AuthError;
pub use blob_upload::UploadError;
pub use client::{OpenRegistryError, Registry, Repository};
pub use config::{Listener, RegistryConfig, RegistryEvent};
pub use destination::RegistryDestination;
pub use error_body::{ErrorEntry, Refusal};
pub use manifest::{ManifestError, ManifestName, PutManifest};
pub use push::{PushConfig, PushError, PushReport, PushSession};
pub use realm::RealmError;
pub use referrers::{ReferrersError, referrers_tag};
pub use registries_conf::RegistriesConfError;
pub use response::ExchangeError;
pub use retry::RetryPolicy;
pub use source::RegistrySource;
pub use tags::TagsError;
pub use tls::TlsError;
