//! What a registry says when it refuses (OCI distribution-spec v1.1, "Error Codes").
//!
//! A body that is too long, no JSON or an HTML page still gives a short readable text. Control characters go, so that
//! a registry cannot write to the terminal.

use std::fmt;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;

/// More than any registry's error; the rest is not read.
pub(super) const LONGEST_ERROR_BODY: u64 = 64 << 10;

/// Longest text of a registry that is shown, in characters.
const LONGEST_MESSAGE: usize = 400;

/// One error of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorEntry {
    /// The code, such as `MANIFEST_BLOB_UNKNOWN`; empty when the registry gave none.
    pub code: String,
    /// The registry's words, shortened; may be empty.
    pub message: String,
}

/// An answer that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The registry's host.
    pub host: String,
    /// The repository that the request was about; empty for the registry as a whole.
    pub repository: String,
    /// The method and path, without the query, which may be signed.
    pub request: String,
    /// The status code.
    pub status: u16,
    /// What the registry said.
    pub errors: Vec<ErrorEntry>,
    /// How long the registry asks to wait.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether the registry named this error code.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.errors.iter().any(|error| error.code == code)
    }

    /// Whether another attempt may succeed.
    pub(super) fn is_passing(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(super::retry::is_passing)
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} answered {}", self.host, self.status)?;
        if let Some(reason) = StatusCode::from_u16(self.status).ok().and_then(|it| it.canonical_reason()) {
            write!(formatter, " {reason}")?;
        }
        write!(formatter, " to {}", self.request)?;
        for (number, error) in self.errors.iter().enumerate() {
            formatter.write_str(if number == 0 { ": " } else { "; " })?;
            match (error.code.as_str(), error.message.as_str()) {
                (code, "") => formatter.write_str(code)?,
                ("", message) => formatter.write_str(message)?,
                (code, message) => write!(formatter, "{code}: {message}")?,
            }
        }
        Ok(())
    }
}

/// The method and path of a request, as errors show it.
pub(super) fn request_line(method: &Method, path: &str) -> String {
    format!("{method} {path}")
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: Option<serde_json::Value>,
    #[serde(default)]
    message: Option<String>,
}

/// Reads an error body of any kind; `blank` takes out what must not be shown.
pub(super) fn parse(body: &[u8], blank: impl Fn(&str) -> String) -> Vec<ErrorEntry> {
    let shorten = |text: &str| shorten(&blank(text));
    if let Ok(body) = serde_json::from_slice::<Body>(body)
        && !body.errors.is_empty()
    {
        return body.errors.into_iter().take(8).map(|entry| readable(entry, shorten)).collect();
    }
    // Token servers and proxies have forms of their own: `{"details": …}`, `{"error_description": …}`, plain text.
    let text = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => ["message", "error_description", "details", "detail", "error"]
            .iter()
            .find_map(|field| value.get(field)?.as_str().map(str::to_owned))
            .unwrap_or_default(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let is_page = text.trim_start().starts_with('<');
    let message = shorten(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default());
    if is_page || message.is_empty() { Vec::new() } else { vec![ErrorEntry { code: String::new(), message }] }
}

fn readable(entry: Entry, shorten: impl Fn(&str) -> String) -> ErrorEntry {
    let code = match entry.code {
        Some(serde_json::Value::String(code)) => shorten(&code),
        Some(serde_json::Value::Number(code)) => code.to_string(),
        _ => String::new(),
    };
    ErrorEntry { code, message: shorten(&entry.message.unwrap_or_default()) }
}

/// Takes control characters and anything that looks like a shown credential out, and cuts.
fn shorten(text: &str) -> String {
    let text = text.trim();
    // Whatever a registry shows as a credential is none for the eyes of whoever reads an error, ours or not.
    let lower = text.to_ascii_lowercase();
    let end =
        ["basic ", "bearer "].iter().filter_map(|scheme| Some(lower.find(scheme)? + scheme.len())).min();
    let (shown, mark) = match end {
        Some(end) if text.len() > end => (&text[..end], "***"),
        _ => (text, ""),
    };
    let kept = shown.chars().filter(|character| !character.is_control()).take(LONGEST_MESSAGE);
    kept.chain(mark.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &[(&str, &str)]) {
        let found = parse(body.as_bytes(), str::to_owned);
        let found: Vec<_> = found.iter().map(|error| (error.code.as_str(), error.message.as_str())).collect();
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn reads_errors_of_every_form() {
        check(
            r#"{"errors":[{"code":"DENIED","message":"no\u001b[31m","detail":{}},{"code":"UNKNOWN"}]}"#,
            &[("DENIED", "no[31m"), ("UNKNOWN", "")],
        );
        check(r#"{"errors":[]}"#, &[]);
        check(r#"{"errors":[{"code":403,"message":null}]}"#, &[("403", "")]);
        check(r#"{"details":"incorrect username or password"}"#, &[("", "incorrect username or password")]);
        check("you sent Basic dXNlcjpwYXNz", &[("", "you sent Basic ***")]);
        check("404 page not found\n", &[("", "404 page not found")]);
        check("<html><body>Bad gateway</body></html>", &[]);
        check("", &[]);
        check(&"x".repeat(1_000), &[("", &"x".repeat(400))]);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, text in "(\\PC|\"|\\{|\\}|errors|message|:|,|\\[|\\]){0,40}") {
            for body in [bytes.as_slice(), text.as_bytes()] {
                for error in parse(body, str::to_owned) {
                    assert!(!error.message.contains(char::is_control) && error.message.chars().count() <= LONGEST_MESSAGE + 3);
                }
            }
        }
    }
}
