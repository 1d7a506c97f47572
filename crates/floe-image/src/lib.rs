//! OCI images, made: a closure becomes a plan, planned layers become blobs, blobs become an image.
//!
//! The order of the modules is the order of the flow. A [`floe_store::Closure`] comes in; a
//! [`plan::Plan`] says which store paths share a layer; [`layer`] packs each planned layer into a
//! [`BlobSink`] and returns its digests; [`image`] joins them with a config into a manifest. Layers of others are read
//! by [`unpack`]; [`difference`] compares two images.
//!
//! Everything here is deterministic: no network, no clock, no environment. Same inputs, same bytes.

#![forbid(unsafe_code)]

mod blob;
pub mod difference;
pub mod image;
pub mod layer;
pub mod oci;
pub mod plan;
pub mod unpack;

pub use blob::{BlobError, BlobSink, BlobSource, BlobWriter};
