//! An age, as it is written: `30d`, `2w`, `12h`.

use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo, Timestamp};

use super::command_line::TIP;

/// How long ago something was; days have 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age(Duration);

impl Age {
    /// The moment that was so long ago; the earliest of all when there was no such moment.
    pub(crate) fn ago(self) -> Timestamp {
        Timestamp::now().checked_sub(self.0).unwrap_or(Timestamp::MIN)
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let duration = text
            .parse::<Span>()
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok());
        duration
            .map(Self)
            .ok_or_else(|| format!("expected hours, days or weeks\n\n{TIP}write it such as 12h, 30d or 8w"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ages() {
        for (text, expected) in [
            ("12h", Some(12 * 3600)),
            ("30d", Some(30 * 86_400)),
            ("2w", Some(14 * 86_400)),
            ("1d 12h", Some(36 * 3600)),
            ("0d", Some(0)),
            ("30", None),
            ("-1d", None),
            ("2mo", None),
            ("1y", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Age>().ok().map(|age| age.0.as_secs()), expected, "{text}");
        }
    }
}
