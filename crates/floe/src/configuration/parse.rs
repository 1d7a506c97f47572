//! The text of a `floe.toml` becomes a [`Configuration`].

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::inherit::{self, Configuration};
use super::keys::{Entry, KEYS};
use super::options::ImageOptions;
use super::problem::{ConfigurationErrors, Problem};
use super::reader::{Item, Key, Reader};
use super::value::BadValue;
use crate::failure::{Failure, Outcome};

/// The largest file that is read: a thousand times what people write.
pub(crate) const LARGEST_FILE: usize = 1 << 20;

/// What an image is called whose keys stand alone.
const NAMELESS: &str = "image";

/// The keys of the whole file.
const TOP_KEYS: &[Key<BTreeMap<String, Entry>>] = &[Key {
    name: "image",
    form: "a table of images",
    default: "none",
    synonyms: &["images", "container", "oci"],
    summary: "The images, each under its name",
    read: images,
}];

impl Configuration {
    /// Reads the text of a `floe.toml`; an empty text is a file without images.
    ///
    /// `file_name` only appears in messages. The same text gives the same result on every machine.
    ///
    /// # Errors
    /// When the text is over 1 MiB, is not TOML, or holds unknown keys, wrong types, bad values, or an
    /// `inherits` that leads nowhere or in a circle. All of them are named.
    pub(crate) fn parse(file_name: &str, text: &str) -> Result<Self, ConfigurationErrors> {
        if text.len() > LARGEST_FILE {
            let problem = Problem {
                message: format!("{file_name} is larger than 1 MiB"),
                expected: String::new(),
                span: 0..0,
                hint: Some("put large files into a directory, and name that in `contents`".to_owned()),
            };
            return Err(ConfigurationErrors::new(file_name, "", vec![problem]));
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let problems = errors.iter().map(|error| syntax_problem(error, text)).collect();
            return Err(ConfigurationErrors::new(file_name, text, problems));
        }
        let mut reader = Reader::default();
        let mut entries = BTreeMap::new();
        reader.entries(table.get_ref(), TOP_KEYS, &mut entries);
        let mut problems = reader.into_problems();
        problems.extend(inherit::problems(&entries));
        if problems.is_empty() {
            Ok(Self::new(entries))
        } else {
            Err(ConfigurationErrors::new(file_name, text, problems))
        }
    }
}

/// Reads an image's keys that came as JSON, as a Nix build has them, by the rules of `floe.toml`.
///
/// # Errors
/// As [`Configuration::parse`]; lines are those of the keys written as TOML.
pub(crate) fn parse_entry(file_name: &str, keys: &serde_json::Value) -> Outcome<ImageOptions> {
    let keys: toml::Table = serde::Deserialize::deserialize(keys).map_err(|error| {
        Failure::usage(anyhow::Error::new(error).context(format!("{file_name} is no table of keys")))
    })?;
    let images = toml::Table::from_iter([(NAMELESS.to_owned(), toml::Value::Table(keys))]);
    let document = toml::Table::from_iter([("image".to_owned(), toml::Value::Table(images))]);
    let configuration =
        Configuration::parse(file_name, &toml::to_string(&document)?).map_err(Failure::usage)?;
    let options = configuration.image(NAMELESS);
    options.ok_or_else(|| Failure::failed(format!("{file_name} has no keys")))
}

fn syntax_problem(error: &toml::de::Error, text: &str) -> Problem {
    let span = error.span().unwrap_or(text.len()..text.len());
    // The parser's message may go on with what it expected, in lines of its own.
    let (message, expected) = error.message().split_once('\n').unwrap_or((error.message(), ""));
    Problem {
        message: format!("not TOML: {message}"),
        expected: expected.replace('\n', ", "),
        span,
        hint: Some("see https://toml.io for how TOML is written".to_owned()),
    }
}

/// Reads `[image]`.
fn images(reader: &mut Reader, item: &Item<'_>, entries: &mut BTreeMap<String, Entry>) {
    let DeValue::Table(table) = item.get_ref() else {
        reader.wrong_type(item);
        return;
    };
    for (name, item) in table {
        let DeValue::Table(keys) = item.get_ref() else {
            let what = format!("'image.{}' is not an image", name.get_ref().escape_debug());
            let bad = BadValue { message: what, expected: "a table".to_owned(), hint: None };
            reader.bad_value(item.span(), bad.hint("each image has a name: [image.app]"));
            continue;
        };
        if let Err(bad) = entry_name(name.get_ref()) {
            reader.bad_value(name.span(), bad);
        }
        let mut entry = Entry::default();
        reader.entries(keys, KEYS, &mut entry);
        entries.insert(name.get_ref().clone().into_owned(), entry);
    }
}

/// An entry's name is a word, so that it is never taken for a path or an installable.
pub(crate) fn entry_name(name: &str) -> Result<(), BadValue> {
    let is_word =
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
    if is_word && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && name.len() <= 100 {
        return Ok(());
    }
    let expected = "small letters, digits, '-' and '_', at most 100";
    Err(BadValue::new(name, "a name of an image", expected)
        .hint("`name = \"registry.example.com/team/app\"` says what the image is called elsewhere"))
}
