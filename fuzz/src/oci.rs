//! The documents of images, as a registry, a layout or an archive brings them.

use floe_image::oci::{Config, Descriptor, Index, Manifest, canonical_json};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) fn documents(bytes: &[u8]) {
    check::<Manifest>(bytes);
    check::<Index>(bytes);
    check::<Config>(bytes);
    check::<Descriptor>(bytes);
}

/// A foreign document passes through unchanged: what is written reads back as the same value and the same bytes.
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let written = canonical_json::to_vec(&value);
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, value);
    assert_eq!(canonical_json::to_vec(&again), written);
}
