//! `floe.toml`: how images are to be made, written down once.
//!
//! The text of a file goes in; a [`Configuration`] of [`ImageOptions`] comes out, `inherits` already
//! resolved, or every problem of the file with its line ([`ConfigurationErrors`]). The flags of
//! `floe build` make [`ImageOptions`] too, and the two are joined by [`ImageOptions::over`].

mod options;
pub(crate) mod value;

pub(crate) use options::ImageOptions;
