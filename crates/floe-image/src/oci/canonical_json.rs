//! JSON whose bytes depend on the value alone: no white space, struct fields in their order, maps sorted.
//!
//! The types of [`crate::oci`] hold sorted maps only, so writing them is enough.

use serde::Serialize;

/// Writes a value as compact JSON.
///
/// # Panics
/// Never for the types of this crate: their maps have text keys and no value fails to be written.
#[must_use]
pub fn to_vec(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("documents with text keys can always be written as JSON")
}
