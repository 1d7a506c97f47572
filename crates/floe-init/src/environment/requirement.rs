//! What an image asks of a variable: `DATABASE_URL:url`, `PORT:port`, `LOG_LEVEL:one-of=debug,info`, or just `NAME`.

use std::fmt;

/// The form that a value must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    NotEmpty,
    Integer,
    Port,
    Boolean,
    Url,
    Path,
    OneOf(Vec<String>),
}

/// One variable that must be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requirement {
    pub(super) name: String,
    pub(super) rule: Rule,
}

impl Requirement {
    /// Reads a requirement; the error says what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, rule) = text.split_once(':').unwrap_or((text, "not-empty"));
        if !is_variable_name(name) {
            return Err(format!("'{name}' is no variable's name"));
        }
        let rule = match rule {
            "not-empty" => Rule::NotEmpty,
            "integer" => Rule::Integer,
            "port" => Rule::Port,
            "boolean" => Rule::Boolean,
            "url" => Rule::Url,
            "path" => Rule::Path,
            _ => match rule.strip_prefix("one-of=") {
                Some(choices) => Rule::OneOf(choices.split(',').map(str::to_owned).collect()),
                None => {
                    return Err(format!(
                        "'{rule}' is no rule: expected not-empty, integer, port, boolean, url, path or one-of=a,b"
                    ));
                }
            },
        };
        Ok(Self { name: name.to_owned(), rule })
    }
}

impl Rule {
    /// Whether a value has the form.
    pub(super) fn accepts(&self, value: &str) -> bool {
        match self {
            Self::NotEmpty => !value.is_empty(),
            Self::Integer => value.parse::<i64>().is_ok(),
            Self::Port => value.parse::<u16>().is_ok_and(|port| port > 0),
            Self::Boolean => matches!(value, "true" | "false" | "1" | "0" | "yes" | "no" | "on" | "off"),
            Self::Url => is_url(value),
            Self::Path => value.starts_with('/') && std::path::Path::new(value).exists(),
            Self::OneOf(choices) => choices.iter().any(|choice| choice == value),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotEmpty => "must not be empty",
            Self::Integer => "must be an integer",
            Self::Port => "must be a port, 1 to 65535",
            Self::Boolean => "must be true or false",
            Self::Url => "must be a URL, <scheme>://<host>",
            Self::Path => "must be an absolute path that exists",
            Self::OneOf(choices) => return write!(formatter, "must be one of {}", choices.join(", ")),
        })
    }
}

/// The names that shells and Kubernetes agree on.
pub(super) fn is_variable_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A scheme (RFC 3986, section 3.1), then something behind `://`, without blanks.
fn is_url(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once("://") else { return false };
    let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && scheme.bytes().all(is_scheme_byte)
        && !rest.is_empty()
        && !rest.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_values() {
        for (requirement, value, expected) in [
            ("A", "", false),
            ("A", "x", true),
            ("A:integer", "-5", true),
            ("A:integer", "5.0", false),
            ("A:port", "65535", true),
            ("A:port", "0", false),
            ("A:port", "65536", false),
            ("A:boolean", "yes", true),
            ("A:boolean", "ja", false),
            ("A:url", "postgres://db:5432/app", true),
            ("A:url", "db:5432", false),
            ("A:url", "http://", false),
            ("A:path", "/", true),
            ("A:path", "etc", false),
            ("A:one-of=debug,info", "info", true),
            ("A:one-of=debug,info", "warn", false),
        ] {
            let parsed = Requirement::parse(requirement).expect("a requirement");
            assert_eq!(parsed.rule.accepts(value), expected, "{requirement} {value}");
        }
    }

    #[test]
    fn refuses_what_is_no_requirement() {
        for (text, expected) in [
            ("", "no variable's name"),
            ("1A", "no variable's name"),
            ("A-B", "no variable's name"),
            ("A:prime", "no rule"),
        ] {
            let error = Requirement::parse(text).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }
}
