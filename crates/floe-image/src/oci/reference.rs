//! A reference names an image in a registry: `host/repository:tag@digest`.
//!
//! Grammar: OCI distribution-spec v1.1, "Pulling manifests" (repository and tag); the host and its
//! defaults as Docker's reference grammar has them (`nginx` is `docker.io/library/nginx:latest`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Digest;

/// The registry that a reference without a host means.
const DEFAULT_HOST: &str = "docker.io";

/// The tag that a reference without a tag and a digest means.
const DEFAULT_TAG: &str = "latest";

/// Longest repository path with its host, in bytes (Docker's reference grammar).
const LONGEST_NAME: usize = 255;

/// Longest tag, in bytes.
const LONGEST_TAG: usize = 128;

/// A reference with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    host: String,
    repository: String,
    /// Invariant: present where `digest` is not.
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that is no reference.
#[derive(Debug, thiserror::Error)]
#[error("'{text}' is not an image reference: {reason}")]
pub struct ParseReferenceError {
    text: String,
    reason: &'static str,
}

impl Reference {
    /// The registry's host with its port, such as `registry.example.com:5000`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository within the registry, such as `library/nginx`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag: the given one, else `latest` unless a digest was given.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, when one was given.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same repository with another tag and no digest.
    ///
    /// # Errors
    /// When the tag is malformed.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ParseReferenceError> {
        check_tag(tag).map_err(|reason| ParseReferenceError { text: tag.to_owned(), reason })?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository with a digest and no tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|reason| ParseReferenceError { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => {
            (name, Some(digest.parse().map_err(|_| "expected sha256:<64 hex digits> behind '@'")?))
        }
        None => (text, None),
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if is_host(host) => (host, path),
        _ => (DEFAULT_HOST, name),
    };
    check_host(host)?;
    if path.is_empty() {
        return Err("expected a repository such as team/app");
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("a repository is written in lower case");
    }
    if !path.split('/').all(is_path_component) {
        return Err("a repository's parts are letters and digits, joined by '.', '_', '__' or '-'");
    }
    let (host, path) = match host {
        "index.docker.io" | "registry-1.docker.io" | DEFAULT_HOST if !path.contains('/') => {
            (DEFAULT_HOST, format!("library/{path}"))
        }
        "index.docker.io" | "registry-1.docker.io" => (DEFAULT_HOST, path.to_owned()),
        host => (host, path.to_owned()),
    };
    // Docker counts what it writes: with the host, and `library/` where it belongs.
    if host.len() + 1 + path.len() > LONGEST_NAME {
        return Err("a name holds at most 255 bytes, its host included");
    }
    let tag = tag.or_else(|| digest.is_none().then_some(DEFAULT_TAG)).map(str::to_owned);
    Ok(Reference { host: host.to_owned(), repository: path, tag, digest })
}

/// The first part is a host when it could not be part of a Docker Hub name.
fn is_host(part: &str) -> bool {
    part.contains(['.', ':', '['])
        || part == "localhost"
        || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn check_host(host: &str) -> Result<(), &'static str> {
    const EXPECTED: &str = "expected a host such as registry.example.com, localhost:5000 or [::1]:5000";
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(EXPECTED)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| EXPECTED)?;
            ("ipv6", port)
        }
        None => host.find(':').map_or((host, ""), |colon| host.split_at(colon)),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let port_is_fine =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    if name.split('.').all(is_label) && port_is_fine { Ok(()) } else { Err(EXPECTED) }
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let well_formed = tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-');
    if well_formed {
        Ok(())
    } else {
        Err("a tag is 1 to 128 letters, digits, '_', '.' or '-', and begins with none of '.', '-'")
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(part: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut rest = part.as_bytes();
    loop {
        let word = rest.iter().take_while(|byte| is_word(byte)).count();
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        if rest.is_empty() {
            return true;
        }
        let separator = rest.iter().take_while(|byte| !is_word(byte)).count();
        let known = matches!(&rest[..separator], b"." | b"_" | b"__")
            || rest[..separator].iter().all(|byte| *byte == b'-');
        if !known {
            return false;
        }
        rest = &rest[separator..];
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = self.tag() {
            write!(formatter, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(formatter, "@{digest}"))
    }
}

impl TryFrom<String> for Reference {
    type Error = ParseReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_defaults() {
        let digest = Digest::of(b"");
        for (text, expected) in [
            ("nginx", "docker.io/library/nginx:latest".to_owned()),
            ("team/app:1.0", "docker.io/team/app:1.0".to_owned()),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest".to_owned()),
            ("localhost/app", "localhost/app:latest".to_owned()),
            ("localhost:5000/app:x", "localhost:5000/app:x".to_owned()),
            ("127.0.0.1:5000/a/b__c/d-e.f", "127.0.0.1:5000/a/b__c/d-e.f:latest".to_owned()),
            ("[::1]:5000/app", "[::1]:5000/app:latest".to_owned()),
            (&format!("ghcr.io/o/app@{digest}"), format!("ghcr.io/o/app@{digest}")),
            (&format!("ghcr.io/o/app:t@{digest}"), format!("ghcr.io/o/app:t@{digest}")),
        ] {
            let reference: Reference = text.parse().expect("a reference");
            assert_eq!(reference.to_string(), expected, "{text}");
            assert_eq!(expected.parse::<Reference>().expect("a reference"), reference, "{text}");
        }
    }

    #[test]
    fn refuses_malformed_references() {
        for text in [
            "",
            ":tag",
            "App",
            "a/B",
            "a//b",
            "a/b:",
            "a/b:.x",
            "a b",
            "a___b",
            "-a",
            "a-",
            "host.com/",
            "host.com:99999/a",
            "[::1/a",
            "a@sha256:00",
            "https://host.com/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            if let Ok(reference) = text.parse::<Reference>() {
                proptest::prop_assert_eq!(reference.to_string().parse::<Reference>().expect("its own text"), reference);
            }
        }
    }
}
