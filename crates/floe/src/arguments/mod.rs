//! The command line: what can be said, and what was said.
//!
//! The words of a command line come in; a [`CommandLine`] goes out, or a [`Failure`](crate::failure::Failure)
//! in floe's own form. Each subcommand's own arguments are in its file in `commands`.

mod age;
mod command_line;
mod global;
mod image_flags;
mod platform;
mod previous;
mod registry;
mod selection;

pub(crate) use age::Age;
pub(crate) use command_line::{CommandLine, Early};
pub(crate) use global::{ColorWhen, GlobalArguments, ProgressWhen};
pub(crate) use image_flags::ImageFlags;
pub(crate) use platform::{PlatformArguments, this_machine};
pub(crate) use previous::{PreviousFlags, PreviousName};
pub(crate) use registry::RegistryArguments;
pub(crate) use selection::{Selection, SelectionFlags, load_failure};

#[cfg(test)]
mod tests;
