//! Base images: what `base = "…"` names becomes a [`floe_image::image::Base`], and stays the same until it is updated.

mod blobs;

pub(crate) use blobs::BaseBlobs;
