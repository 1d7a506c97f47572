//! An image is layers and a config, joined by a manifest.
//!
//! [`Settings`] and a closure come in, and perhaps a [`Base`] to build upon; [`compose()`] draws up what each layer holds and how a container
//! starts; [`assemble()`] packs the layers into a sink; the [`Image`] that goes out is a recipe: it
//! names every byte and can be stored, and [`RecipeBlobs`] makes the blobs again from the store.

mod settings;

mod base;
mod inherited;

mod compose;

mod account;
mod config;
mod root;

mod assemble;
mod previous;
mod recipe;

#[cfg(test)]
mod tests;

pub use assemble::{AssembleError, LayerObserver, Observer, Workshop, assemble};
pub use base::{Base, BaseLayer, BlobOrigin, ReadBaseError};
pub use compose::{ComposeError, Draft, DraftLayer, compose};
pub use inherited::{InheritedField, ParseInheritedFieldError};
pub use previous::{PreviousImage, PreviousImages};
pub use recipe::{Image, ImageLayer, RecipeBlobs};
pub use settings::{Settings, User};

/// The label that lists the variables a container needs, separated by spaces.
pub const REQUIRED_ENV_LABEL: &str = "dev.floe.required-env";

/// The annotation of a layer's descriptor that names its memo key, so that a machine without a memo
/// can learn the layer's digests from a manifest.
pub const MEMO_KEY_ANNOTATION: &str = "dev.floe.memo-key";

/// What the name of a manifest's annotation begins with that holds a fact: its kind follows, and the value is the fact's
/// key, a space, and what was found out.
pub const FACT_ANNOTATION_PREFIX: &str = "dev.floe.fact.";

/// The annotation of a layer's descriptor that lists its store paths by base name, separated by spaces.
pub const STORE_PATHS_ANNOTATION: &str = "dev.floe.store-paths";
