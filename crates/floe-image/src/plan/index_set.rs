//! A set of small indices as a row of bits: what a closure's graph algorithms compute with.
//!
//! All sets that meet in one operation are made for the same number of indices.

/// Indices in one machine word.
const WORD_BITS: usize = u64::BITS as usize;

/// A set of indices below the limit that it was made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct IndexSet {
    words: Vec<u64>,
}

impl IndexSet {
    /// An empty set for indices below `limit`.
    pub(super) fn new(limit: usize) -> Self {
        Self { words: vec![0; limit.div_ceil(WORD_BITS)] }
    }

    pub(super) fn insert(&mut self, index: usize) {
        self.words[index / WORD_BITS] |= 1 << (index % WORD_BITS);
    }

    pub(super) fn contains(&self, index: usize) -> bool {
        self.words[index / WORD_BITS] >> (index % WORD_BITS) & 1 == 1
    }

    /// How many indices the set holds.
    pub(super) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The set's bits, 64 indices a word: [`super::causes`] counts some of them.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Adds every index of `other`.
    pub(super) fn union_with(&mut self, other: &Self) {
        for (word, others) in self.words.iter_mut().zip(&other.words) {
            *word |= others;
        }
    }

    /// Keeps only indices that `other` holds too.
    pub(super) fn intersect_with(&mut self, other: &Self) {
        for (word, others) in self.words.iter_mut().zip(&other.words) {
            *word &= others;
        }
    }

    /// How many indices both sets hold.
    pub(super) fn len_of_intersection(&self, other: &Self) -> usize {
        self.words.iter().zip(&other.words).map(|(word, others)| (word & others).count_ones() as usize).sum()
    }

    /// The indices, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.checked_sub(1)?;
                Some(at * WORD_BITS + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_inserted() {
        let mut set = IndexSet::new(130);
        for index in [129, 0, 64, 63] {
            set.insert(index);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 129]);
        assert_eq!(set.len(), 4);
        assert!(set.contains(129) && !set.contains(5));
        let mut other = IndexSet::new(130);
        other.insert(63);
        other.insert(1);
        assert_eq!(set.len_of_intersection(&other), 1);
        other.union_with(&set);
        assert_eq!(other.len(), 5);
        other.intersect_with(&set);
        assert_eq!(other, set);
        assert_eq!(IndexSet::new(0).iter().count(), 0);
    }
}
