//! The OCI image specification's types: what a registry or an engine reads.
//!
//! Each type writes itself in one way only (fields in the specification's order, maps sorted by
//! key) and keeps fields that it does not know, so that a foreign image passes through unchanged.

pub mod canonical_json;
mod config;
mod descriptor;
mod digest;
mod index;
mod manifest;
mod media_type;
mod platform;
mod reference;

pub use config::{Config, Empty, ExecutionConfig, Healthcheck, History, RootFs};
pub use descriptor::Descriptor;
pub use digest::{DiffId, Digest, DigestHasher, ParseDigestError};
pub use index::Index;
pub use manifest::Manifest;
pub use media_type::MediaType;
pub use platform::{ParsePlatformError, Platform};
pub use reference::{ParseReferenceError, Reference};
