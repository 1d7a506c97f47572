//! Two SHA-256 streams at once: the tar's and the NAR's, fed by one thread.
//!
//! One stream leaves most of a core's SHA unit waiting for its own last result. Feeding the blocks of
//! two independent streams alternately lets the processor overlap them: 20 % less time for both
//! on an AMD EPYC with SHA-NI. Padding: FIPS 180-4, section 5.1.1; initial state: section 5.3.3.

use sha2::block_api::compress256;

const BLOCK_SIZE: usize = 64;

/// Where the message's length in bits stands in its last block.
const LENGTH_OFFSET: usize = BLOCK_SIZE - 8;

const INITIAL_STATE: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A SHA-256 that is not finished.
#[derive(Clone, Debug)]
pub(super) struct Sha256 {
    state: [u32; 8],
    partial: [u8; BLOCK_SIZE],
    /// Invariant: less than `BLOCK_SIZE` between calls.
    partial_size: usize,
    size: u64,
}

impl Default for Sha256 {
    fn default() -> Self {
        Self { state: INITIAL_STATE, partial: [0; BLOCK_SIZE], partial_size: 0, size: 0 }
    }
}

impl Sha256 {
    /// The SHA-256 of the bytes added; the stream starts anew.
    pub(super) fn take(&mut self) -> [u8; 32] {
        let mut hash = std::mem::take(self);
        let mut last = [[0; BLOCK_SIZE]; 2];
        let used = hash.partial_size;
        last[0][..used].copy_from_slice(&hash.partial[..used]);
        last[0][used] = 0x80;
        let blocks = if used < LENGTH_OFFSET { 1 } else { 2 };
        last[blocks - 1][LENGTH_OFFSET..].copy_from_slice(&(hash.size * 8).to_be_bytes());
        compress256(&mut hash.state, &last[..blocks]);
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(hash.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// Completes a block begun before; returns the bytes that are left.
    fn fill_partial<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.size += bytes.len() as u64;
        if self.partial_size == 0 {
            return bytes;
        }
        let (head, rest) = bytes.split_at(bytes.len().min(BLOCK_SIZE - self.partial_size));
        self.partial[self.partial_size..][..head.len()].copy_from_slice(head);
        self.partial_size += head.len();
        if self.partial_size == BLOCK_SIZE {
            compress256(&mut self.state, std::slice::from_ref(&self.partial));
            self.partial_size = 0;
        }
        rest
    }

    /// Hashes whole blocks and keeps what follows them. Only called with no block begun, or no bytes.
    fn finish_update(&mut self, blocks: &[[u8; BLOCK_SIZE]], rest: &[u8]) {
        compress256(&mut self.state, blocks);
        self.partial[self.partial_size..][..rest.len()].copy_from_slice(rest);
        self.partial_size += rest.len();
    }
}

/// Adds bytes to both streams; faster than one after the other where both get many.
pub(super) fn update_both(first: (&mut Sha256, &[u8]), second: (&mut Sha256, &[u8])) {
    let ((first, first_bytes), (second, second_bytes)) = (first, second);
    let (first_blocks, first_rest) = first.fill_partial(first_bytes).as_chunks();
    let (second_blocks, second_rest) = second.fill_partial(second_bytes).as_chunks();
    for (one, other) in first_blocks.iter().zip(second_blocks) {
        compress256(&mut first.state, std::slice::from_ref(one));
        compress256(&mut second.state, std::slice::from_ref(other));
    }
    let both = first_blocks.len().min(second_blocks.len());
    first.finish_update(&first_blocks[both..], first_rest);
    second.finish_update(&second_blocks[both..], second_rest);
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    #[test]
    fn agrees_with_one_stream_at_a_time() {
        let data: Vec<u8> = (0..1000_u32).map(|number| (number * 7 % 251) as u8).collect();
        for first_size in [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 700] {
            for (second_size, step) in [(0, 1), (3, 2), (64, 64), (129, 63), (1000, 100)] {
                let (mut first, mut second) = (Sha256::default(), Sha256::default());
                let (mut one, mut other) =
                    (data[..first_size].chunks(step), data[..second_size].chunks(step));
                loop {
                    let parts = (one.next(), other.next());
                    if parts == (None, None) {
                        break;
                    }
                    update_both(
                        (&mut first, parts.0.unwrap_or_default()),
                        (&mut second, parts.1.unwrap_or_default()),
                    );
                }
                assert_eq!(first.take()[..], sha2::Sha256::digest(&data[..first_size])[..]);
                assert_eq!(second.take()[..], sha2::Sha256::digest(&data[..second_size])[..]);
            }
        }
    }
}
