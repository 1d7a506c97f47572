//! When an image says that it was made.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::BadValue;

/// When an image says that it was made (OCI image-spec v1.1, config.md, `created`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// The time of the build: every build gives another image.
    Now,
    /// A fixed time. Invariant: from 1970 to 9999, in whole seconds.
    At(Timestamp),
}

impl Created {
    /// A time from seconds since 1970, such as those in `SOURCE_DATE_EPOCH`.
    pub(crate) fn from_seconds(seconds: i64) -> Option<Self> {
        Timestamp::from_second(seconds).ok().filter(|_| seconds >= 0).map(Self::At)
    }
}

impl FromStr for Created {
    type Err = BadValue;

    /// Reads `now`, RFC 3339, or seconds since 1970.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "now" {
            return Ok(Self::Now);
        }
        let seconds = text.parse().ok().or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_second));
        seconds.and_then(Self::from_seconds).ok_or_else(|| {
            let expected = "\"now\", a time such as 2025-01-31T12:00:00Z, or seconds since 1970";
            BadValue::new(text, "a time of creation", expected)
        })
    }
}

impl fmt::Display for Created {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => formatter.write_str("now"),
            Self::At(time) => write!(formatter, "{time}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_now_times_and_seconds() {
        for (text, expected) in [
            ("now", Some("now")),
            ("0", Some("1970-01-01T00:00:00Z")),
            ("1700000000", Some("2023-11-14T22:13:20Z")),
            ("2025-01-31T12:00:00.75+02:00", Some("2025-01-31T10:00:00Z")),
            ("-1", None),
            ("1969-12-31T23:59:59Z", None),
            ("yesterday", None),
            ("99999999999999999", None),
        ] {
            let found = text.parse::<Created>().ok().map(|created| created.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
