//! How layers and the root are made: one of a few words, a count, or a file that tells.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use floe_image::image::InheritedField;
use floe_image::layer::root_tree::Conflicts;
use floe_image::plan::Strategy;

use super::BadValue;
use crate::suggestion;

/// How store paths are shared out over layers.
pub(crate) fn layering(text: &str) -> Result<Strategy, BadValue> {
    let known = [
        ("stable", Strategy::Stable),
        ("auto-layer", Strategy::AutoLayer),
        ("popularity", Strategy::Popularity),
        ("nixery", Strategy::Nixery),
    ];
    one_of(text, "a way of layering", known)
}

/// What happens when two packages of `root` hold the same file.
pub(crate) fn root_conflicts(text: &str) -> Result<Conflicts, BadValue> {
    let known = [("refuse", Conflicts::Refuse), ("first", Conflicts::First)];
    one_of(text, "an answer to conflicts", known)
}

/// Engines mount at most 127 layers: what fits into one page of overlayfs's options, as Docker and containerd keep it.
const MOST_LAYERS: usize = 127;

/// One layer holds what stands outside the store, and at least one the store paths.
const FEWEST_LAYERS: usize = 2;

/// Reads the most layers that an image may have.
pub(crate) fn layer_count(text: &str) -> Result<NonZeroUsize, BadValue> {
    text.parse()
        .ok()
        .filter(|count: &NonZeroUsize| (FEWEST_LAYERS..=MOST_LAYERS).contains(&count.get()))
        .ok_or_else(|| {
            BadValue::new(
                text,
                "a number of layers",
                format!("a number from {FEWEST_LAYERS} to {MOST_LAYERS}"),
            )
        })
}

/// Reads the path of a file; whether it is there shows when it is read.
pub(crate) fn file(text: &str) -> Result<PathBuf, BadValue> {
    if text.is_empty() {
        return Err(BadValue::new(text, "a file", "a path"));
    }
    Ok(PathBuf::from(text))
}

fn one_of<T, const N: usize>(text: &str, what: &str, known: [(&str, T); N]) -> Result<T, BadValue> {
    let words = known.each_ref().map(|(word, _)| *word);
    known.into_iter().find(|(word, _)| *word == text).map(|(_, value)| value).ok_or_else(|| {
        let quoted = words.map(|word| format!("\"{word}\""));
        let bad = BadValue::new(text, what, quoted.join(" or "));
        match suggestion::nearest(text, words) {
            Some(word) => bad.hint(format!("did you mean \"{word}\"?")),
            None => bad,
        }
    })
}

/// Reads a part of a base's config.
pub(crate) fn inherited_field(text: &str) -> Result<InheritedField, BadValue> {
    text.parse().map_err(|_| BadValue::new(text, "a part of a base's config", InheritedField::FORMS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_the_nearest_word() {
        assert_eq!(layering("auto-layer"), Ok(Strategy::AutoLayer));
        let bad = layering("autolayer").expect_err("no such word");
        assert_eq!(bad.hint.as_deref(), Some("did you mean \"auto-layer\"?"));
        assert_eq!(root_conflicts("last").expect_err("no such word").expected, "\"refuse\" or \"first\"");
    }
}
