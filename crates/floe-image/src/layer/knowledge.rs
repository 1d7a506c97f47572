//! What is known of layers before they are packed. The memo knows what this machine packed; the image that a
//! registry's tag names knows what some machine packed.

use super::{Layer, MemoKey};
use crate::oci::Digest;

/// Something that can be asked for layers and small facts by the digest of all that they depend on.
///
/// What is not known is found out by reading the store: an answer saves time and changes no byte, as long as it is true.
pub trait Knowledge: Sync {
    /// The layer that was packed for this key.
    fn layer(&self, key: &MemoKey) -> Option<Layer>;

    /// A small fact that follows from what `key` names; `kind` says which, in a few lower-case letters.
    fn fact(&self, kind: &str, key: Digest) -> Option<String>;
}

/// Knows nothing.
impl Knowledge for () {
    fn layer(&self, _key: &MemoKey) -> Option<Layer> {
        None
    }

    fn fact(&self, _kind: &str, _key: Digest) -> Option<String> {
        None
    }
}
