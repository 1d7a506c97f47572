//! A NAR hash is the SHA-256 of a path's archive: the identity of its bytes.
//!
//! Nix writes it in three ways, and all are read here: `sha256:<base 32>` (database, structured
//! attributes), `sha256:<hex>` (the database of old), and SRI, `sha256-<base 64>` (`nix path-info`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::nix32;

/// The SHA-256 of a path's NAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NarHash([u8; 32]);

/// A text that is none of the forms in which Nix writes a NAR hash.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a NAR hash: expected sha256:<base 32>, sha256:<hex> or sha256-<base 64>")]
pub struct ParseNarHashError(String);

impl NarHash {
    /// Takes the 32 bytes of a SHA-256.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the SHA-256.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash as Nix's database holds it, `sha256:<hex>`.
    #[must_use]
    pub fn base16(&self) -> String {
        self.0.iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
    }
}

impl FromStr for NarHash {
    type Err = ParseNarHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = match (text.strip_prefix("sha256:"), text.strip_prefix("sha256-")) {
            (Some(digits), _) if digits.len() == 64 => decode_hex(digits),
            (Some(digits), _) => nix32::decode(digits, 32),
            (_, Some(digits)) => decode_base64(digits),
            _ => None,
        };
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| ParseNarHashError(text.to_owned()))
    }
}

fn decode_hex(digits: &str) -> Option<Vec<u8>> {
    // `from_str_radix` takes a sign for part of a number.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Base 64 of exactly 32 bytes: 43 digits and one `=` (RFC 4648, section 4).
fn decode_base64(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.strip_suffix('=')?;
    if digits.len() != 43 {
        return None;
    }
    let mut bytes = Vec::with_capacity(33);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

impl fmt::Display for NarHash {
    /// Writes `sha256:<base 32>`, as the narinfo format and structured attributes do.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", nix32::encode(&self.0))
    }
}

impl TryFrom<String> for NarHash {
    type Error = ParseNarHashError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NarHash> for String {
    fn from(hash: NarHash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_one_hash() {
        let base32 = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        for text in [
            base32,
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ] {
            let hash: NarHash = text.parse().expect("a well-formed hash");
            assert_eq!(hash.to_string(), base32, "{text}");
            assert_eq!(hash.base16().parse::<NarHash>().expect("a well-formed hash"), hash);
        }
    }

    #[test]
    fn refuses_other_hashes() {
        for text in ["", "sha256:", "sha256-AAAA", "sha512:00", "md5:00", "sha256:zz", "sha256:é"] {
            assert!(text.parse::<NarHash>().is_err(), "{text}");
        }
        for not_hex in ["x".repeat(64), "+f".repeat(32)] {
            assert!(format!("sha256:{not_hex}").parse::<NarHash>().is_err(), "{not_hex}");
        }
    }
}
