//! The values of `floe.toml` and of the flags: one way of writing each, read in one place.
//!
//! Each is read from the text that a person writes, by `FromStr` or by a function that takes the
//! text; a [`BadValue`] says what was expected instead.

mod base_name;
mod choice;
mod compression;
mod container;
mod content;
mod created;
mod duration;
mod name;
mod port;
mod root_file;
mod signal;

pub(crate) use base_name::BaseName;
pub(crate) use choice::{file, inherited_field, layer_count, layering, root_conflicts};
pub(crate) use compression::compression;
pub(crate) use container::{
    absolute_path, healthcheck_test, owner, platform, system, variable, variable_name,
};
pub(crate) use content::Content;
pub(crate) use created::Created;
pub(crate) use duration::nanoseconds;
pub(crate) use name::{image_name, tag};
pub(crate) use port::{Port, Protocol};
pub(crate) use root_file::{RootFile, mode};
pub(crate) use signal::signal;

/// A text that is no value of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}: expected {expected}")]
pub(crate) struct BadValue {
    /// What is wrong, with the value at fault.
    pub(crate) message: String,
    /// What may be written instead.
    pub(crate) expected: String,
    /// Advice, where there is more to say.
    pub(crate) hint: Option<String>,
}

impl BadValue {
    /// The longest value that a message repeats in full, in characters.
    const LONGEST_SHOWN: usize = 60;

    /// A text that is not `what`.
    pub(crate) fn new(text: &str, what: &str, expected: impl Into<String>) -> Self {
        let mut shown: String = text.chars().take(Self::LONGEST_SHOWN).flat_map(char::escape_debug).collect();
        if text.chars().nth(Self::LONGEST_SHOWN).is_some() {
            shown.push('…');
        }
        Self { message: format!("'{shown}' is not {what}"), expected: expected.into(), hint: None }
    }

    /// The same with advice.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
