//! Base images: what `base = "…"` names becomes a [`floe_image::image::Base`], and stays the same until it is updated.
//!
//! A name such as a tag may mean something else tomorrow. So its digest is written to `floe.lock` beside the
//! `floe.toml`, and later builds use what the digest says; what follows from a digest is remembered, so that they ask no
//! registry. The layers themselves stay where they are: in the registry, or copied into floe's own folder when they came
//! from a place that may vanish.

pub mod lock;

mod find;
mod pinned;

mod blobs;
mod keep;

pub(crate) use blobs::{BaseBlobs, kept_layers};
pub(crate) use find::{Bases, origin};
pub(crate) use keep::keep_layers;
pub(crate) use lock::Lock;
pub(crate) use pinned::pinned_digest;
