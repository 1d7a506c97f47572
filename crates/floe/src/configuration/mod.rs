//! `floe.toml`: how images are to be made, written down once.
//!
//! The text of a file goes in; a `Configuration` of `ImageOptions` comes out, or every problem of
//! the file with its line (`ConfigurationErrors`). The flags of `floe build` make `ImageOptions`
//! too, and the two are joined by `ImageOptions::over`.
//!
//! `keys::KEYS` describes each key once: parsing, the advice on unknown keys and the tests of
//! `docs/floe-toml.md` all read that table.

mod file;
mod inherit;
mod keys;
mod manual;
mod options;
mod parse;
mod problem;
mod reader;
pub(crate) mod value;

pub(crate) use file::{ConfigurationFile, LoadConfigurationError};
pub(crate) use inherit::Configuration;
pub(crate) use manual::manual;
pub(crate) use options::ImageOptions;
pub(crate) use parse::entry_name;
pub(crate) use parse::parse_entry;
pub(crate) use problem::ConfigurationErrors;
pub(crate) use value::{BaseName, Content, Created, Port};

/// Reads the text of a `floe.toml` and says all that is wrong with it, as the command line would show it.
///
/// # Errors
/// When the text is no `floe.toml`: each problem with its line, and what to do about it.
pub fn check(text: &str) -> Result<(), String> {
    Configuration::parse("floe.toml", text)
        .map(drop)
        .map_err(|errors| format!("{errors}\n{}", errors.render()))
}

#[cfg(test)]
mod tests;
