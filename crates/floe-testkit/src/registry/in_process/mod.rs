//! A registry inside the test's own process: OCI distribution-spec v1.1, with the referrers API.
//!
//! Blobs lie in files, so that gigabytes can be pushed; manifests and tags in memory. Nothing is trusted: digests,
//! sizes, ranges and upload states are checked, and a manifest must not name what is not there. Each request is
//! logged, so that a test can state a budget; each can be made to fail by a rule of the test's.
//!
//! In reading order: [`registry`](Registry) answers a request by its [`route`](Endpoint), from [`blobs`] or
//! [`manifests`], which work on the [`storage`].

mod blobs;
mod digest;
mod fault;
mod manifests;
mod registry;
mod request_log;
mod route;
mod storage;

pub use fault::{Fault, Incoming};
pub use registry::{Behaviour, Registry};
pub use request_log::Request;
pub use route::Endpoint;
