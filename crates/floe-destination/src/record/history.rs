//! The history of one name: its generations, and which of them each tag names and named.
//!
//! A generation is an image that differs from all others of the name: the same digest again adds none. Each tag
//! keeps its trail, so that it can be taken back. Everything here is in memory; [`super::Record`] keeps it.

use std::collections::{BTreeMap, BTreeSet};

use floe_image::oci::Digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Generation;

/// How many moves of a tag are remembered: more than anybody takes back one by one.
const LONGEST_TRAIL: usize = 100;

/// A name's generations and tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", rename_all = "kebab-case")]
pub struct History {
    /// The highest number that was ever given, so that none is given twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Generation>,
    generations: BTreeMap<Generation, GenerationEntry>,
    /// Invariant: no trail is empty, and each names generations that are there; its last one is what the tag names.
    tags: BTreeMap<String, Vec<Generation>>,
}

/// What is known of a generation without its document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GenerationEntry {
    /// The digest of the image's manifest.
    pub digest: Digest,
    /// The sum of the layers' blobs, in bytes.
    pub compressed_size: u64,
    /// When it was built last.
    pub recorded: Timestamp,
    /// The tags that it has or had. Invariant: a generation without any is gone.
    pub called: BTreeSet<String>,
}

/// Why a generation cannot be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveGenerationError {
    /// There is none of that number.
    #[error("there is no generation {0}")]
    Unknown(Generation),
    /// A tag names it; removing it would leave the tag without an image.
    #[error("generation {number} is what {} names now", tags.join(", "))]
    InUse {
        /// The generation.
        number: Generation,
        /// The tags that name it.
        tags: Vec<String>,
    },
}

impl History {
    /// Whether there is nothing left to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.generations.is_empty()
    }

    /// The generations, by number.
    pub fn generations(&self) -> impl DoubleEndedIterator<Item = (Generation, &GenerationEntry)> {
        self.generations.iter().map(|(number, entry)| (*number, entry))
    }

    /// A generation by its number.
    #[must_use]
    pub fn generation(&self, number: Generation) -> Option<&GenerationEntry> {
        self.generations.get(&number)
    }

    /// The tags and the generations that they name, sorted by tag.
    pub fn tags(&self) -> impl Iterator<Item = (&str, Generation)> {
        self.tags.iter().filter_map(|(tag, trail)| Some((tag.as_str(), *trail.last()?)))
    }

    /// The generation that a tag names.
    #[must_use]
    pub fn current(&self, tag: &str) -> Option<Generation> {
        self.tags.get(tag)?.last().copied()
    }

    /// The tags that name a generation now, sorted.
    #[must_use]
    pub fn tags_of(&self, number: Generation) -> Vec<&str> {
        self.tags().filter(|(_, current)| *current == number).map(|(tag, _)| tag).collect()
    }

    /// The generation before another one, by number.
    #[must_use]
    pub fn before(&self, number: Generation) -> Option<Generation> {
        self.generations.range(..number).next_back().map(|(number, _)| *number)
    }

    /// Says that an image was built under a tag; returns its generation, a new one unless the digest was there.
    pub fn add(
        &mut self,
        tag: &str,
        digest: Digest,
        compressed_size: u64,
        recorded: Timestamp,
    ) -> Generation {
        let known = self.generations().find(|(_, entry)| entry.digest == digest).map(|(number, _)| number);
        let number = known.unwrap_or_else(|| self.last.map_or(Generation::FIRST, Generation::next));
        let entry = self.generations.entry(number).or_insert_with(|| GenerationEntry {
            digest,
            compressed_size,
            recorded,
            called: BTreeSet::new(),
        });
        entry.recorded = recorded;
        entry.called.insert(tag.to_owned());
        self.last = self.last.max(Some(number));
        self.move_tag(tag, number);
        number
    }

    /// Lets a tag name another generation; `false` when there is no such generation, and nothing changed.
    pub fn move_tag(&mut self, tag: &str, number: Generation) -> bool {
        let Some(entry) = self.generations.get_mut(&number) else { return false };
        entry.called.insert(tag.to_owned());
        let trail = self.tags.entry(tag.to_owned()).or_default();
        if trail.last() != Some(&number) {
            trail.push(number);
        }
        if trail.len() > LONGEST_TRAIL {
            trail.remove(0);
        }
        true
    }

    /// Takes a tag back to what it named before it last moved; returns that, or `None` when it never moved.
    pub fn take_back(&mut self, tag: &str) -> Option<Generation> {
        let trail = self.tags.get_mut(tag).filter(|trail| trail.len() > 1)?;
        trail.pop();
        trail.last().copied()
    }

    /// Forgets a tag, and the generations that have and had no other; returns those.
    pub fn remove_tag(&mut self, tag: &str) -> Vec<Generation> {
        self.tags.remove(tag);
        for entry in self.generations.values_mut() {
            entry.called.remove(tag);
        }
        let gone = self.generations.extract_if(.., |_, entry| entry.called.is_empty());
        gone.map(|(number, _)| number).collect()
    }

    /// Forgets a generation that no tag names.
    ///
    /// # Errors
    ///
    /// When there is none of that number, or a tag names it.
    pub fn remove_generation(&mut self, number: Generation) -> Result<(), RemoveGenerationError> {
        if !self.generations.contains_key(&number) {
            return Err(RemoveGenerationError::Unknown(number));
        }
        let tags: Vec<String> = self.tags_of(number).into_iter().map(str::to_owned).collect();
        if !tags.is_empty() {
            return Err(RemoveGenerationError::InUse { number, tags });
        }
        self.generations.remove(&number);
        for trail in self.tags.values_mut() {
            trail.retain(|other| *other != number);
            trail.dedup();
        }
        Ok(())
    }

    /// The generations that were built before a time, that no tag names, and that are not among the `keep` latest.
    #[must_use]
    pub fn expired(&self, before: Timestamp, keep: usize) -> Vec<Generation> {
        let older = self.generations().rev().skip(keep);
        let expired =
            older.filter(|(number, entry)| entry.recorded < before && self.tags_of(*number).is_empty());
        expired.map(|(number, _)| number).collect()
    }
}

/// A history as it is written, not yet checked.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Stored {
    last: Option<Generation>,
    generations: BTreeMap<Generation, GenerationEntry>,
    tags: BTreeMap<String, Vec<Generation>>,
}

impl TryFrom<Stored> for History {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored { last, generations, tags } = stored;
        for (tag, trail) in &tags {
            if trail.is_empty() {
                return Err(format!("tag '{tag}' names nothing"));
            }
            if let Some(unknown) = trail.iter().find(|number| !generations.contains_key(number)) {
                return Err(format!("tag '{tag}' names generation {unknown}, which is not there"));
            }
        }
        let last = last.max(generations.last_key_value().map(|(number, _)| *number));
        Ok(Self { last, generations, tags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(history: &mut History, tag: &str, image: &str, seconds: i64) -> Generation {
        let recorded = Timestamp::from_second(seconds).expect("a time");
        history.add(tag, Digest::of(image.as_bytes()), 1, recorded)
    }

    fn generation(number: u32) -> Generation {
        number.into()
    }

    #[test]
    fn numbers_each_image_once() {
        let mut history = History::default();
        for (seconds, (tag, image, expected)) in [
            ("latest", "a", 1),
            ("latest", "a", 1),
            ("latest", "b", 2),
            ("1.0", "b", 2),
            ("latest", "a", 1),
            ("latest", "c", 3),
        ]
        .into_iter()
        .enumerate()
        {
            let seconds = i64::try_from(seconds).expect("few");
            assert_eq!(built(&mut history, tag, image, seconds), generation(expected), "{tag} {image}");
        }
        assert_eq!(history.tags().collect::<Vec<_>>(), [("1.0", generation(2)), ("latest", generation(3))]);
        let first = history.generation(generation(1)).expect("it is there");
        assert_eq!(first.recorded.as_second(), 4, "building it again renews its time");
        assert!(history.remove_generation(generation(1)).is_ok());
        assert_eq!(history.remove_tag("latest"), [generation(3)], "2 has another tag");
        assert_eq!(built(&mut history, "latest", "d", 9), generation(4), "no number is given twice");
        let written = serde_json::to_string(&history).expect("JSON");
        assert_eq!(serde_json::from_str::<History>(&written).expect("its own words"), history);
    }

    #[test]
    fn takes_tags_back_along_their_trail() {
        let mut history = History::default();
        for (image, seconds) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            built(&mut history, "latest", image, seconds);
        }
        let mut back = || history.take_back("latest").map(|number| number.to_string());
        assert_eq!(
            [back(), back(), back(), back()],
            [Some("1".into()), Some("2".into()), Some("1".into()), None]
        );
        assert!(history.move_tag("latest", generation(3)));
        assert!(!history.move_tag("latest", generation(9)));
        assert_eq!(history.take_back("latest"), Some(generation(1)));
        assert_eq!(history.take_back("other"), None);
        assert_eq!(history.generations().count(), 3, "what a tag left is still there");
        assert_eq!(history.remove_tag("latest").len(), 3, "and goes with the tag");
    }

    #[test]
    fn removes_what_no_tag_names() {
        let mut history = History::default();
        for (image, seconds) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            built(&mut history, "latest", image, seconds);
        }
        built(&mut history, "old", "a", 1);
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let expired = |history: &History, seconds, keep| -> Vec<String> {
            history.expired(at(seconds), keep).iter().map(ToString::to_string).collect()
        };
        assert_eq!(expired(&history, 100, 0), ["3", "2"], "1 and 4 have tags");
        assert_eq!(expired(&history, 3, 0), ["2"]);
        assert_eq!(expired(&history, 100, 2), ["2"], "3 and 4 are the two latest");
        assert!(matches!(
            history.remove_generation(generation(4)),
            Err(RemoveGenerationError::InUse { tags, .. }) if tags == ["latest"]
        ));
        assert!(matches!(history.remove_generation(generation(9)), Err(RemoveGenerationError::Unknown(_))));
        assert!(history.remove_generation(generation(3)).is_ok());
        assert_eq!(history.take_back("latest"), Some(generation(2)), "the trail leads past what is gone");
        assert_eq!(history.before(generation(4)), Some(generation(2)));
    }

    #[test]
    fn refuses_tags_that_name_nothing() {
        for text in [
            r#"{"generations":{},"tags":{"latest":[1]}}"#,
            r#"{"generations":{},"tags":{"latest":[]}}"#,
            r#"{"generations":{"0":{}},"tags":{}}"#,
        ] {
            assert!(serde_json::from_str::<History>(text).is_err(), "{text}");
        }
    }
}
