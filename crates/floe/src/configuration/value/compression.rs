//! How layers are compressed.

use floe_image::layer::Compression;

use super::BadValue;

/// Reads `zstd`, `zstd:9`, `gzip`, `gzip:6` and `none`.
pub(crate) fn compression(text: &str) -> Result<Compression, BadValue> {
    let (algorithm, level) = match text.split_once(':') {
        Some((algorithm, level)) => (algorithm, Some(level)),
        None => (text, None),
    };
    let within = |most: i32| {
        let digits = level.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse().ok().filter(|level| (1..=most).contains(level))
    };
    let found = match algorithm {
        "zstd" if level.is_none() => Some(Compression::default()),
        "zstd" => within(19).map(Compression::Zstd),
        "gzip" if level.is_none() => Some(Compression::GZIP),
        "gzip" => within(12).map(Compression::Gzip),
        "none" if level.is_none() => Some(Compression::None),
        _ => None,
    };
    found.ok_or_else(|| {
        let expected =
            "\"zstd\", \"zstd:1\" to \"zstd:19\", \"gzip\", \"gzip:1\" to \"gzip:12\", or \"none\"";
        BadValue::new(text, "a compression", expected)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_algorithms_and_levels() {
        for (text, expected) in [
            ("zstd", Some(Compression::Zstd(3))),
            ("zstd:19", Some(Compression::Zstd(19))),
            ("gzip", Some(Compression::Gzip(3))),
            ("gzip:12", Some(Compression::Gzip(12))),
            ("none", Some(Compression::None)),
            ("zstd:0", None),
            ("zstd:20", None),
            ("zstd:+3", None),
            ("zstd:", None),
            ("gzip:13", None),
            ("none:1", None),
            ("xz", None),
        ] {
            assert_eq!(compression(text).ok(), expected, "{text}");
        }
    }
}
