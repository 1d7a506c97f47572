//! Hearsay: what others say of an image's layers, asked of the destinations that have images under its name.

use floe_destination::Destination;
use floe_image::layer::{Knowledge, Layer, MemoKey};
use floe_image::oci::Digest;

/// The word of these destinations, in their order.
pub(crate) struct Hearsay<'a>(pub(crate) &'a [Box<dyn Destination>]);

impl Knowledge for Hearsay<'_> {
    fn layer(&self, key: &MemoKey) -> Option<Layer> {
        self.0.iter().find_map(|place| place.previous().layer(key))
    }

    fn fact(&self, kind: &str, key: Digest) -> Option<String> {
        self.0.iter().find_map(|place| place.previous().fact(kind, key))
    }
}
