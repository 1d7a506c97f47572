//! The values of `floe.toml` and of the flags: one way of writing each, read in one place.
//!
//! Each type reads itself from the text that a person writes (`FromStr`, or a function that takes the
//! text), and its error says what was expected.

mod content;
mod created;
mod port;

pub(crate) use content::Content;
pub(crate) use created::Created;
pub(crate) use port::{Port, Protocol};

/// A text that is no value of its kind; `hint` says what may be written instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct BadValue {
    /// What is wrong, with the value at fault.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl BadValue {
    /// A value that is not of the expected form.
    pub(crate) fn expected(text: &str, what: &str, expected: &str) -> Self {
        Self { message: format!("'{}' is not {what}: expected {expected}", text.escape_debug()), hint: None }
    }

    /// The same with advice.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
