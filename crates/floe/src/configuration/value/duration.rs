//! Durations, which the config keeps in nanoseconds.

use jiff::SignedDuration;

use super::BadValue;

/// The shortest duration but zero that engines take.
const SHORTEST_NANOSECONDS: u64 = 1_000_000;

/// Reads `30s`, `1m30s`, `500ms` (jiff's friendly format) into nanoseconds.
pub(crate) fn nanoseconds(text: &str) -> Result<u64, BadValue> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| u64::try_from(duration.as_nanos()).ok())
        // The config's integers are Go's int64.
        .filter(|nanoseconds| (SHORTEST_NANOSECONDS..i64::MAX.unsigned_abs()).contains(nanoseconds))
        .ok_or_else(|| {
            BadValue::new(text, "a duration", "at least 1ms, such as \"30s\", \"1m30s\" or \"500ms\"")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        for (text, expected) in [
            ("30s", Some(30_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("500ms", Some(500_000_000)),
            ("1h", Some(3_600_000_000_000)),
            ("0s", None),
            ("-1s", None),
            ("30", None),
            ("", None),
            ("9999999999999h", None),
        ] {
            assert_eq!(nanoseconds(text).ok(), expected, "{text}");
        }
    }
}
