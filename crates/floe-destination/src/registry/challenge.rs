//! `WWW-Authenticate`: how a registry wants to be shown who is there.
//!
//! Grammar: RFC 9110, section 11.6.1. Every header field is read, and each may hold several challenges; Basic and
//! Bearer are understood (distribution's `docs/spec/auth/token.md`), Bearer wins.

use reqwest::Url;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// What a registry asks for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) enum Challenge {
    /// Nothing.
    #[default]
    None,
    /// User name and password with every request.
    Basic,
    /// A token from a token server.
    Bearer {
        /// The token server's URL.
        realm: Url,
        /// The name by which the token server knows the registry.
        service: Option<String>,
    },
}

/// Reads all challenges; `None` when there is no Basic and no Bearer with a usable realm among them.
pub(super) fn read(headers: &HeaderMap) -> Option<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let all: Vec<Parsed> = texts.flat_map(parse).collect();
    let bearer = all.iter().filter(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"));
    let bearer = bearer.filter_map(|challenge| {
        let realm = Url::parse(challenge.parameter("realm")?).ok()?;
        let service = challenge.parameter("service").filter(|service| !service.is_empty());
        Some(Challenge::Bearer { realm, service: service.map(str::to_owned) })
    });
    let is_basic = |challenge: &Parsed| challenge.scheme.eq_ignore_ascii_case("basic");
    bearer.into_iter().next().or_else(|| all.iter().any(is_basic).then_some(Challenge::Basic))
}

#[derive(Debug, Default)]
struct Parsed {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Parsed {
    fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.parameters.iter();
        all.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn parse(text: &str) -> Vec<Parsed> {
    let mut challenges: Vec<Parsed> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let word_end = rest.find([' ', '\t', ',', '=', '"']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        if word.is_empty() {
            // The end, or a stray '=' or '"' that no grammar allows here.
            match rest.chars().next() {
                None => return challenges,
                Some(stray) => rest = &rest[stray.len_utf8()..],
            }
            continue;
        }
        let after_space = after.trim_start_matches([' ', '\t']);
        match (after_space.strip_prefix('='), challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let (value, remainder) = parse_value(value.trim_start_matches([' ', '\t']));
                challenge.parameters.push((word.to_owned(), value));
                rest = remainder;
            }
            _ => {
                challenges.push(Parsed { scheme: word.to_owned(), parameters: Vec::new() });
                rest = after;
            }
        }
    }
}

/// Reads a token or a quoted string; an unfinished quote ends with the text.
fn parse_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((position, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[position + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn check(fields: &[&'static str], expected: Option<Challenge>) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(field));
        }
        assert_eq!(read(&headers), expected, "{fields:?}");
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        let realm = Url::parse(realm).expect("a URL");
        Some(Challenge::Bearer { realm, service: service.map(str::to_owned) })
    }

    #[test]
    fn scans_every_field() {
        check(&[], None);
        check(&["Negotiate"], None);
        check(&["Basic realm=\"a, b\""], Some(Challenge::Basic));
        check(&["basic"], Some(Challenge::Basic));
        check(
            &["Bearer realm=\"https://auth.example/token\",service=\"r.example\",scope=\"a:b:c,d\""],
            bearer("https://auth.example/token", Some("r.example")),
        );
        check(
            &["Negotiate abc==", "Basic realm=x", "bearer service=s , realm=\"https://auth.example/t\""],
            bearer("https://auth.example/t", Some("s")),
        );
        check(
            &["Basic realm=\"x\", Bearer realm=\"https://auth.example/\\\"t\""],
            bearer("https://auth.example/%22t", None),
        );
        check(&["Bearer realm=\"not a URL\", Basic realm=x"], Some(Challenge::Basic));
        check(&["Bearer service=x"], None);
        check(&["=\"=,\"", "Bearer realm=\"https://auth.example"], bearer("https://auth.example", None));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}", pieces in "([a-zA-Z]{1,6}|[ =,\"\\\\]){0,20}") {
            drop((parse(&text), parse(&pieces)));
        }
    }
}
