//! The order of Debian versions.
//!
//! Debian Policy 5.6.12: epoch, upstream version and revision; digits compare as numbers, letters sort before
//! other characters, and `~` before everything, even the end.

use std::cmp::Ordering;

/// Compares two Debian versions by Debian Policy 5.6.12.
#[must_use]
pub(super) fn compare_versions(left: &str, right: &str) -> Ordering {
    let (left_epoch, left_upstream, left_revision) = split(left);
    let (right_epoch, right_upstream, right_revision) = split(right);
    compare_part(left_epoch, right_epoch)
        .then_with(|| compare_part(left_upstream, right_upstream))
        .then_with(|| compare_part(left_revision, right_revision))
}

/// Returns the upstream version that a person means: no epoch, no revision, no mark of repackaging.
#[must_use]
pub(super) fn upstream_version(version: &str) -> &str {
    let (_, upstream, _) = split(version);
    let end = upstream.find("+dfsg").or_else(|| upstream.find("+ds")).or_else(|| upstream.find('~'));
    upstream[..end.unwrap_or(upstream.len())].trim_end_matches('+')
}

fn split(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch, upstream, revision)
}

/// Compares by turns what is not a digit and what is.
fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = take_while(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = take_while(right, |byte| !byte.is_ascii_digit());
        for index in 0..left_text.len().max(right_text.len()) {
            let order = weight(left_text.get(index)).cmp(&weight(right_text.get(index)));
            if order.is_ne() {
                return order;
            }
        }
        let (left_digits, left_rest) = take_while(left_rest, u8::is_ascii_digit);
        let (right_digits, right_rest) = take_while(right_rest, u8::is_ascii_digit);
        let (left_number, right_number) = (significant(left_digits), significant(right_digits));
        let order = left_number.len().cmp(&right_number.len()).then_with(|| left_number.cmp(right_number));
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

fn take_while(bytes: &[u8], belongs: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| !belongs(byte)).unwrap_or(bytes.len()))
}

fn significant(digits: &[u8]) -> &[u8] {
    take_while(digits, |digit| *digit == b'0').1
}

fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_versions_as_debian_does() {
        let check = |left: &str, expected: Ordering, right: &str| {
            assert_eq!(compare_versions(left, right), expected, "{left} {right}");
            assert_eq!(compare_versions(right, left), expected.reverse(), "{right} {left}");
        };
        check("1.0", Ordering::Equal, "1.0");
        check("1.0", Ordering::Equal, "0:1.0");
        check("1.0", Ordering::Equal, "1.0-0");
        check("1.9", Ordering::Less, "1.10");
        check("1.09", Ordering::Equal, "1.9");
        check("2.0", Ordering::Less, "1:1.0");
        check("1.0~rc1", Ordering::Less, "1.0");
        check("1.0~rc1", Ordering::Less, "1.0-1");
        check("1.0~~", Ordering::Less, "1.0~");
        check("1.0a", Ordering::Less, "1.0+");
        check("1.0", Ordering::Less, "1.0a");
        check("1.0-1", Ordering::Less, "1.0-1+b1");
        check("18.20.4+dfsg-1~deb12u2", Ordering::Less, "18.20.4+dfsg-1~deb12u3");
        check("1.2-3-4", Ordering::Greater, "1.2-3-3");
    }

    #[test]
    fn keeps_the_version_that_upstream_gave() {
        let check = |version: &str, expected: &str| assert_eq!(upstream_version(version), expected);
        check("18.20.4+dfsg-1~deb12u3", "18.20.4");
        check("1:2.39.5-0+deb12u2", "2.39.5");
        check("2.0+ds1-2", "2.0");
        check("1.6.0+~cs2.0-1", "1.6.0");
        check("5.2.15-2+b8", "5.2.15");
        check("20230311+deb12u1", "20230311+deb12u1");
        check("2.36.0~rc1-1", "2.36.0");
    }
}
