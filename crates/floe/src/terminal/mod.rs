//! The terminal: the only place that prints.
//!
//! Standard output carries what was asked for, as text or as JSON lines; standard error carries all
//! that is said on the way: progress, notes, warnings, failures. With `--json` both are JSON lines.

mod output;
mod prompt;
mod quantity;
mod table;

pub(crate) use output::{Terminal, last_words};
pub(crate) use quantity::{duration, rate, size, size_change};
pub(crate) use table::{Column, Table};
