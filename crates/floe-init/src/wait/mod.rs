//! Waiting for what the program needs: a port that accepts, a page that answers, a file that is there.
//!
//! The same probes, tried once, are the health check of an image without a shell.

mod command;

mod probe;
mod resolver;
mod target;

pub(crate) use command::{SETTINGS, wait_for};
pub(crate) use probe::probe;
pub(crate) use target::Target;
