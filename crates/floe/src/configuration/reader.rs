//! Reads TOML values into Rust's, and gathers what is wrong on the way.
//!
//! Every function returns what it could read; the problems are in the [`Reader`], so that one run
//! shows all of them.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::value::{BadValue, variable_name};
use crate::suggestion;

/// A value with its place.
pub(super) type Item<'text> = Spanned<DeValue<'text>>;

/// One key of a table: the only place that knows its name and form.
pub(super) struct Key<T: 'static> {
    /// How it is written.
    pub(super) name: &'static str,
    /// What its value looks like: `a list of strings`.
    pub(super) form: &'static str,
    /// What holds where nothing is said.
    pub(super) default: &'static str,
    /// What it says, for people.
    pub(super) summary: &'static str,
    /// Words that other tools have for it, which a person may try.
    pub(super) synonyms: &'static [&'static str],
    /// Puts the value into the table's target.
    pub(super) read: fn(&mut Reader, &Item<'_>, &mut T),
}

/// Gathers problems while values are read.
#[derive(Default)]
pub(super) struct Reader {
    problems: Vec<Problem>,
    /// The key whose value is being read, and its form.
    key: (&'static str, &'static str),
}

impl Reader {
    /// What went wrong.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Notes a problem.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Notes a value that is not of its kind.
    pub(super) fn bad_value(&mut self, span: Range<usize>, bad: BadValue) {
        let expected = format!("expected {}", bad.expected);
        self.problem(Problem { message: bad.message, expected, span, hint: bad.hint });
    }

    /// Notes a value of another type than the key's form.
    pub(super) fn wrong_type(&mut self, item: &Item<'_>) {
        let (name, form) = self.key;
        self.wrong_type_of(name, form, item);
    }

    fn wrong_type_of(&mut self, name: &str, form: &str, item: &Item<'_>) {
        let found = match item.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let hint = match item.get_ref() {
            DeValue::String(text) if form.starts_with("a list") => {
                Some(format!("put it in brackets: [{}]", short_literal(text)))
            }
            DeValue::Integer(number) if form == "a string" => Some(in_quotes(number.as_str())),
            DeValue::Float(number) if form == "a string" => Some(in_quotes(number.as_str())),
            DeValue::Boolean(value) if form == "a string" => Some(in_quotes(&value.to_string())),
            _ => None,
        };
        self.problem(Problem {
            message: format!("wrong type for '{}'", name.escape_debug()),
            expected: format!("expected {form}, found {found}"),
            span: item.span(),
            hint,
        });
    }

    /// Reads the keys of a table into `target`; the value must be a table.
    pub(super) fn table<T>(&mut self, item: &Item<'_>, keys: &[Key<T>], target: &mut T) {
        match item.get_ref() {
            DeValue::Table(table) => self.entries(table, keys, target),
            _ => self.wrong_type(item),
        }
    }

    /// Reads the keys of a table into `target`.
    pub(super) fn entries<T>(&mut self, table: &DeTable<'_>, keys: &[Key<T>], target: &mut T) {
        let outer = self.key;
        for (name, item) in table {
            match keys.iter().find(|key| key.name == name.get_ref().as_ref()) {
                Some(key) => {
                    self.key = (key.name, key.form);
                    (key.read)(self, item, target);
                }
                None => self.unknown_key(name.get_ref(), name.span(), keys),
            }
        }
        self.key = outer;
    }

    fn unknown_key<T>(&mut self, name: &str, span: Range<usize>, keys: &[Key<T>]) {
        let synonym = keys.iter().find(|key| key.synonyms.contains(&name)).map(|key| key.name);
        let nearest = synonym.or_else(|| suggestion::nearest(name, keys.iter().map(|key| key.name)));
        let hint = match nearest {
            Some(nearest) => format!("did you mean '{nearest}'?"),
            None => {
                let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
                format!("known keys: {}", names.join(", "))
            }
        };
        let message = BadValue::new(name, "a key", "").message;
        let message = message.replacen('\'', "unknown key '", 1);
        let message = message.trim_end_matches(" is not a key").to_owned();
        self.problem(Problem { message, expected: String::new(), span, hint: Some(hint) });
    }

    /// Reads a string.
    pub(super) fn string(&mut self, item: &Item<'_>) -> Option<String> {
        self.value(item, |text| Ok(text.to_owned()))
    }

    /// Reads a string into a value.
    pub(super) fn value<T>(
        &mut self,
        item: &Item<'_>,
        parse: impl Fn(&str) -> Result<T, BadValue>,
    ) -> Option<T> {
        let Some(text) = item.get_ref().as_str() else {
            self.wrong_type(item);
            return None;
        };
        self.parsed(item, text, parse)
    }

    /// Reads a string or a whole number in decimal, as its digits, into a value.
    pub(super) fn value_or_number<T>(
        &mut self,
        item: &Item<'_>,
        parse: impl Fn(&str) -> Result<T, BadValue>,
    ) -> Option<T> {
        match item.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => self.parsed(item, number.as_str(), parse),
            _ => self.value(item, parse),
        }
    }

    /// Reads a text at an item's place into a value.
    pub(super) fn parsed<T>(
        &mut self,
        item: &Item<'_>,
        text: &str,
        parse: impl Fn(&str) -> Result<T, BadValue>,
    ) -> Option<T> {
        parse(text).map_err(|bad| self.bad_value(item.span(), bad)).ok()
    }

    /// Reads a list whose elements have the given form.
    pub(super) fn list<T>(
        &mut self,
        item: &Item<'_>,
        form: &'static str,
        each: impl Fn(&mut Self, &Item<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let DeValue::Array(items) = item.get_ref() else {
            self.wrong_type(item);
            return None;
        };
        let outer = self.key;
        self.key.1 = form;
        let read = items.iter().filter_map(|item| each(self, item)).collect();
        self.key = outer;
        Some(read)
    }

    /// Reads a list of strings.
    pub(super) fn strings(&mut self, item: &Item<'_>) -> Option<Vec<String>> {
        self.list(item, "a string", Self::string)
    }

    /// Reads a table of strings whose keys `name` accepts.
    pub(super) fn string_table(
        &mut self,
        item: &Item<'_>,
        name: fn(&str) -> Result<String, BadValue>,
    ) -> BTreeMap<String, String> {
        let DeValue::Table(table) = item.get_ref() else {
            self.wrong_type(item);
            return BTreeMap::new();
        };
        let mut read = BTreeMap::new();
        for (key, item) in table {
            let key = name(key.get_ref()).map_err(|bad| self.bad_value(key.span(), bad));
            match (key, item.get_ref().as_str()) {
                (Ok(key), Some(value)) => {
                    read.insert(key, value.to_owned());
                }
                (Ok(key), None) => self.wrong_type_of(&key, "a string", item),
                (Err(()), _) => {}
            }
        }
        read
    }
}

fn in_quotes(text: &str) -> String {
    format!("put it in quotes: {}", short_literal(text))
}

/// A text as TOML writes it, or a stand-in for one that is long or needs escapes.
fn short_literal(text: &str) -> String {
    let is_plain =
        text.len() <= 40 && text.chars().all(|letter| !letter.is_control() && !"\"\\".contains(letter));
    format!("\"{}\"", if is_plain { text } else { "…" })
}

/// Reads the name of an environment variable, for [`Reader::string_table`].
pub(super) fn environment_key(text: &str) -> Result<String, BadValue> {
    variable_name(text)
}

/// Reads the key of a label or an annotation, for [`Reader::string_table`].
pub(super) fn label_key(text: &str) -> Result<String, BadValue> {
    if text.is_empty() {
        return Err(BadValue::new(text, "a key", "a word such as org.opencontainers.image.source"));
    }
    Ok(text.to_owned())
}
