//! `inherits`: an entry builds on another.

use std::collections::BTreeMap;

use super::keys::Entry;
use super::options::ImageOptions;
use super::problem::Problem;
use crate::suggestion;

/// The longest chain of `inherits`: longer ones are a slip, and would cost much to follow.
const LONGEST_CHAIN: usize = 16;

/// The images of one `floe.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// Invariant: every `inherits` names an entry, and none leads in a circle.
    entries: BTreeMap<String, Entry>,
}

impl Configuration {
    pub(super) fn new(entries: BTreeMap<String, Entry>) -> Self {
        Self { entries }
    }

    /// The names of the images, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// What is asked of an image, with what it inherits; its `name` is the entry's where none is given.
    pub(crate) fn image(&self, name: &str) -> Option<ImageOptions> {
        let mut options = ImageOptions::default();
        let mut next = Some(name);
        while let Some(current) = next {
            let entry = self.entries.get(current)?;
            options = options.over(entry.options.clone());
            next = entry.inherits.as_ref().map(|(parent, _)| parent.as_str());
        }
        options.name.get_or_insert_with(|| name.to_owned());
        Some(options)
    }
}

/// What is wrong with the `inherits` of these entries.
pub(super) fn problems(entries: &BTreeMap<String, Entry>) -> Vec<Problem> {
    entries.iter().filter_map(|(name, entry)| problem(name, entry, entries)).collect()
}

fn problem(name: &str, entry: &Entry, entries: &BTreeMap<String, Entry>) -> Option<Problem> {
    let (parent, span) = entry.inherits.as_ref()?;
    if !entries.contains_key(parent) {
        let hint = match suggestion::nearest(parent, entries.keys().map(String::as_str)) {
            Some(nearest) => format!("did you mean '{nearest}'?"),
            None => "`inherits` names another [image.NAME] of this file".to_owned(),
        };
        return Some(Problem {
            message: format!("no image '{}' to inherit from", parent.escape_debug()),
            expected: String::new(),
            span: span.clone(),
            hint: Some(hint),
        });
    }
    let mut chain = vec![name];
    let mut next = Some(parent.as_str());
    while let Some(current) = next {
        chain.push(current);
        let is_circle = current == name;
        if is_circle || chain.len() > LONGEST_CHAIN {
            // Every member of a circle is in its own circle: the first by name speaks for all.
            if is_circle && chain.iter().any(|member| *member < name) {
                return None;
            }
            // An entry that only leads into a circle is not at fault; a chain that repeats no entry is too long.
            let repeats = (1..chain.len()).any(|index| chain[index + 1..].contains(&chain[index]));
            if !is_circle && repeats {
                return None;
            }
            let (message, hint) = if is_circle {
                (format!("'{name}' inherits from itself"), format!("the circle is {}", chain.join(" → ")))
            } else {
                let message = format!("'{name}' inherits through more than {LONGEST_CHAIN} images");
                (message, "let it inherit from an image nearer to the first".to_owned())
            };
            return Some(Problem { message, expected: String::new(), span: span.clone(), hint: Some(hint) });
        }
        next = entries.get(current)?.inherits.as_ref().map(|(parent, _)| parent.as_str());
    }
    None
}
