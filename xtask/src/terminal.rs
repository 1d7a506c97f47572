//! The only place that writes to the terminal.
//!
//! Standard output gets what was asked for; progress and complaints go to standard error.

use std::io::{self, Write};
use std::time::Duration;

/// Writes a line that was asked for.
pub(crate) fn answer(line: &str) {
    // A reader that went away, such as `head`, wants no more lines.
    drop(writeln!(io::stdout().lock(), "{line}"));
}

/// Writes a line about what is going on.
pub(crate) fn say(line: &str) {
    // Without a standard error there is nobody to tell.
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Writes a line about what went wrong.
pub(crate) fn complain(line: &str) {
    say(line);
}

/// Writes a duration so that columns of them line up.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:>7.2} s", duration.as_secs_f64())
}
