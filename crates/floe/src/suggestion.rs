//! The word that was probably meant: the nearest of some known words, by edit distance.
//!
//! Distance: optimal string alignment (Damerau-Levenshtein with no substring edited twice), after
//! letters are made small and `_` is read as `-`, since those are the commonest slips.

/// Longer words are no slips of a known one; the bound keeps hostile files cheap.
const LONGEST_WORD: usize = 64;

/// Returns the candidate nearest to `word`, the first one of several, or `None` when none is near:
/// up to a third of the letters may differ, and at least one.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = letters(word);
    if word.is_empty() || word.len() > LONGEST_WORD {
        return None;
    }
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST_WORD)
        .map(|candidate| (distance(&word, &letters(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (word.len().min(candidate.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn letters(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).map(|letter| if letter == '_' { '-' } else { letter }).collect()
}

fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (row[j] + usize::from(a != b)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_that_was_meant() {
        let known = ["entrypoint", "env", "cmd", "stop-signal", "max-layers", "user"];
        for (word, expected) in [
            ("entrypiont", Some("entrypoint")),
            ("ENV", Some("env")),
            ("stop_signal", Some("stop-signal")),
            ("maxlayers", Some("max-layers")),
            ("usr", Some("user")),
            ("cdm", Some("cmd")),
            ("x", None),
            ("", None),
            ("volumes", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"e".repeat(1 << 20), known), None);
    }
}
