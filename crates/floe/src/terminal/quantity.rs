//! Sizes, rates and durations for people. Units are decimal, as in a registry's and a disk's: 1 MB is 1,000,000 bytes.

use std::cmp::Ordering;
use std::time::Duration;

const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];

/// A size in bytes as three digits and a decimal unit: `512 B`, `48.2 MB`, `3.20 GB`.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut unit = 1000_u128;
    let mut names = UNITS.iter();
    let mut name = names.next();
    // 999.5 of a unit would be written as 1000: that is 1.00 of the next.
    while u128::from(bytes) * 2 >= unit * 1999
        && let Some(next) = names.next()
    {
        unit *= 1000;
        name = Some(next);
    }
    let name = name.unwrap_or(&"kB");
    // Integers round the same on every machine.
    let rounded = |parts: u128| (u128::from(bytes) * parts + unit / 2) / unit;
    match (rounded(100), rounded(10)) {
        (hundredths @ 0..1000, _) => format!("{}.{:02} {name}", hundredths / 100, hundredths % 100),
        (_, tenths @ 0..1000) => format!("{}.{} {name}", tenths / 10, tenths % 10),
        _ => format!("{} {name}", rounded(1)),
    }
}

/// How a size changed: `+1.20 MB`, `-512 B`, `±0 B`.
pub(crate) fn size_change(before: u64, after: u64) -> String {
    let sign = match after.cmp(&before) {
        Ordering::Greater => '+',
        Ordering::Less => '-',
        Ordering::Equal => '±',
    };
    format!("{sign}{}", size(after.abs_diff(before)))
}

/// A rate as a size a second: `412 MB/s`.
pub(crate) fn rate(bytes: u64, elapsed: Duration) -> String {
    let per_second = u128::from(bytes) * 1000 / elapsed.as_millis().max(1);
    format!("{}/s", size(u64::try_from(per_second).unwrap_or(u64::MAX)))
}

/// A duration with the digits that matter: `12 ms`, `1.3 s`, `2 min 5 s`, `1 h 20 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let seconds = (milliseconds + 500) / 1000;
    match milliseconds {
        0 => "0 s".to_owned(),
        1..1000 => format!("{milliseconds} ms"),
        1000..9950 => format!("{}.{} s", (milliseconds + 50) / 1000, (milliseconds + 50) % 1000 / 100),
        _ if seconds < 60 => format!("{seconds} s"),
        _ if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_sizes_with_three_digits() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (48_200_000, "48.2 MB"),
            (99_949_999, "99.9 MB"),
            (99_950_000, "100 MB"),
            (999_499_999, "999 MB"),
            (999_500_000, "1.00 GB"),
            (3_200_000_000, "3.20 GB"),
            (u64::MAX, "18447 PB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn writes_changes_with_their_sign() {
        for (before, after, expected) in [(0, 1000, "+1.00 kB"), (7, 2, "-5 B"), (3, 3, "±0 B")] {
            assert_eq!(size_change(before, after), expected);
        }
    }

    #[test]
    fn writes_durations_and_rates() {
        for (milliseconds, expected) in [
            (0, "0 s"),
            (999, "999 ms"),
            (1_300, "1.3 s"),
            (9_949, "9.9 s"),
            (9_950, "10 s"),
            (125_000, "2 min 5 s"),
            (4_800_000, "1 h 20 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected, "{milliseconds}");
        }
        assert_eq!(rate(824_000_000, Duration::from_secs(2)), "412 MB/s");
        assert_eq!(rate(5, Duration::ZERO), "5.00 kB/s");
    }
}
