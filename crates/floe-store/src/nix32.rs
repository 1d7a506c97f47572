//! Nix's base 32: the digits in which store path hashes and NAR hashes are written.
//!
//! The alphabet leaves out `e`, `o`, `t` and `u`, and the digits run from the last byte to the first
//! (Nix `base-nix-32.cc`).

/// The 32 digits, in order of their value.
const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Writes bytes as Nix base 32; the text has `ceil(bytes * 8 / 5)` digits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let digits = (bytes.len() * 8).div_ceil(5);
    (0..digits)
        .rev()
        .map(|digit| {
            let bit = digit * 5;
            let (byte, shift) = (bit / 8, bit % 8);
            let low = u16::from(bytes[byte]);
            let high = bytes.get(byte + 1).copied().map_or(0, u16::from);
            char::from(ALPHABET[usize::from(((high << 8 | low) >> shift) & 0x1f)])
        })
        .collect()
}

/// Reads `length` bytes of Nix base 32, or `None` when the text has another length, a character
/// outside the alphabet, or bits past the last byte.
#[must_use]
pub fn decode(text: &str, length: usize) -> Option<Vec<u8>> {
    if text.len() != (length * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = vec![0_u8; length];
    for (digit, character) in text.bytes().rev().enumerate() {
        let value = u16::try_from(ALPHABET.iter().position(|known| *known == character)?).ok()?;
        let bit = digit * 5;
        let (byte, shift) = (bit / 8, bit % 8);
        let [low, high] = (value << shift).to_le_bytes();
        bytes[byte] |= low;
        match bytes.get_mut(byte + 1) {
            Some(next) => *next |= high,
            None if high != 0 => return None,
            None => {}
        }
    }
    Some(bytes)
}

/// Whether a character is one of the 32 digits.
#[must_use]
pub fn is_digit(character: u8) -> bool {
    ALPHABET.contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_nix() {
        // `nix hash to-base32 sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=`
        let empty_sha256 = [
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
            0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
        ];
        let text = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        assert_eq!(encode(&empty_sha256), text);
        assert_eq!(decode(text, 32).as_deref(), Some(&empty_sha256[..]));
    }

    #[test]
    fn refuses_what_is_not_nix32() {
        for (text, length) in [("", 1), ("e0", 1), ("zz", 1), ("000", 1), ("0m", 20)] {
            assert_eq!(decode(text, length), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn round_trips(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            proptest::prop_assert_eq!(decode(&encode(&bytes), bytes.len()), Some(bytes));
        }
    }
}
