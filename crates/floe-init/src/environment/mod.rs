//! The environment that the program gets: from where each variable comes, and whether it is as the image asks.
//!
//! Precedence, first wins: the process's environment, a file that `<NAME>_FILE` names, files of variables, the
//! image's defaults. Every problem is found before any is said, and no value is ever said.

mod command;
mod resolve;

mod requirement;
mod secret_file;
mod variable_file;

pub(crate) use command::{SETTINGS, checked, run};
