//! The signal that stops a container.

use super::BadValue;
use crate::suggestion;

/// Linux's signals that a process can be stopped with (signal(7)), without `SIG`.
const NAMES: [&str; 18] = [
    "HUP", "INT", "QUIT", "ABRT", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "CONT", "STOP",
    "TSTP", "WINCH", "IO", "PWR", "SYS",
];

/// The highest number of a Linux signal (`SIGRTMAX`).
const HIGHEST: u8 = 64;

/// Reads `SIGTERM`, `TERM`, `SIGRTMIN+3` or a number, and gives names with `SIG`.
pub(crate) fn signal(text: &str) -> Result<String, BadValue> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits && text.parse().is_ok_and(|number: u8| (1..=HIGHEST).contains(&number)) {
        return Ok(text.to_owned());
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if NAMES.contains(&name) || is_real_time(name) {
        return Ok(format!("SIG{name}"));
    }
    let bad = BadValue::new(text, "a signal", "a name such as SIGTERM or SIGINT, or a number from 1 to 64");
    Err(match suggestion::nearest(name, NAMES) {
        Some(name) => bad.hint(format!("did you mean \"SIG{name}\"?")),
        None => bad,
    })
}

/// Whether a name is `RTMIN`, `RTMAX`, `RTMIN+1` to `RTMIN+15` or `RTMAX-1` to `RTMAX-14`, as Docker takes them.
fn is_real_time(name: &str) -> bool {
    let within = |digits: &str, most: u8| {
        digits.bytes().all(|byte| byte.is_ascii_digit())
            && digits.parse().is_ok_and(|number: u8| (1..=most).contains(&number))
    };
    match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) | (_, Some("")) => true,
        (Some(rest), _) => rest.strip_prefix('+').is_some_and(|digits| within(digits, 15)),
        (_, Some(rest)) => rest.strip_prefix('-').is_some_and(|digits| within(digits, 14)),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_signals() {
        for (text, expected) in [
            ("SIGTERM", Some("SIGTERM")),
            ("int", Some("SIGINT")),
            ("9", Some("9")),
            ("RTMIN+3", Some("SIGRTMIN+3")),
            ("RTMIN+16", None),
            ("65", None),
            ("SIGTREM", None),
            ("", None),
        ] {
            assert_eq!(signal(text).ok().as_deref(), expected, "{text}");
        }
        assert_eq!(signal("SIGTREM").expect_err("a slip").hint.as_deref(), Some("did you mean \"SIGTERM\"?"));
    }
}
