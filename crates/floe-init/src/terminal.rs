//! What people read. Everything goes to standard error, since standard output belongs to the program that is run;
//! only answers that were asked for (help, the version) go to standard output.

use std::io::Write as _;

use crate::failure::Failure;

/// Says one line of progress.
pub(crate) fn say(line: &str) {
    write_error(&format!("floe-init: {line}\n"));
}

/// Says why this program ends.
pub(crate) fn complain(failure: &Failure) {
    let mut text = String::new();
    for message in &failure.messages {
        text.push_str("floe-init: error: ");
        text.push_str(message);
        text.push('\n');
    }
    for hint in &failure.hints {
        text.push_str("hint: ");
        text.push_str(hint);
        text.push('\n');
    }
    write_error(&text);
}

/// Answers what was asked.
pub(crate) fn answer(text: &str) {
    // Nobody reads: nothing is left to do about it.
    std::io::stdout().write_all(text.as_bytes()).ok();
}

fn write_error(text: &str) {
    // In one call, so that lines of two containers in one log do not mix. A log that is gone must not stop a start.
    std::io::stderr().write_all(text.as_bytes()).ok();
}

/// Bytes as people read them, such as `1.2 GB`.
pub(crate) fn quantity(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_quantities_as_people_read_them() {
        for (bytes, expected) in
            [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (3_250_000_000, "3.2 GB")]
        {
            assert_eq!(quantity(bytes), expected);
        }
    }
}
