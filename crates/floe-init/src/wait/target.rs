//! A target: `tcp://host:port`, `http://host[:port]/path`, or `file:///path`.

use std::fmt;
use std::path::PathBuf;

/// The port of HTTP where none is named.
const HTTP_PORT: u16 = 80;

/// What is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A port that accepts a connection.
    Tcp(Address),
    /// A page that answers with a status below 400.
    Http(Address, String),
    /// A file, of any kind.
    File(PathBuf),
}

/// A host, by name or number, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Target {
    /// Reads a target; the error says what was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = |expected: &str| format!("'{text}' is no target: expected {expected}");
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| bad("tcp://host:port, http://host/path or file:///path"))?;
        match scheme {
            "tcp" => address(rest, None).map(Self::Tcp).ok_or_else(|| bad("tcp://host:port")),
            "http" => {
                let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
                let address = address(authority, Some(HTTP_PORT)).filter(|_| is_request_target(path));
                address
                    .map(|address| Self::Http(address, path.to_owned()))
                    .ok_or_else(|| bad("http://host[:port]/path"))
            }
            "file" if rest.starts_with('/') => Ok(Self::File(rest.into())),
            "file" => Err(bad("file:///path")),
            "https" => Err(bad("http, or tcp for a port with TLS; no certificates are known here")),
            _ => Err(bad("one of tcp, http and file before '://'")),
        }
    }
}

fn address(text: &str, default_port: Option<u16>) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None => default_port?,
    };
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_host_byte)).then(|| Address { host: host.to_owned(), port })
}

/// What may stand in a request's first line, so that no target adds a line of its own.
fn is_request_target(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port),
            false => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "tcp://{address}"),
            Self::Http(address, path) => write!(formatter, "http://{address}{path}"),
            Self::File(path) => write!(formatter, "file://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_targets() {
        for (text, expected) in [
            ("tcp://db:5432", "tcp://db:5432"),
            ("tcp://[::1]:80", "tcp://[::1]:80"),
            ("http://api", "http://api:80/"),
            ("http://api:8080/health?full=1", "http://api:8080/health?full=1"),
            ("http://[::1]/x", "http://[::1]:80/x"),
            ("file:///run/ready", "file:///run/ready"),
        ] {
            assert_eq!(Target::parse(text).expect("a target").to_string(), expected);
        }
    }

    #[test]
    fn refuses_other_texts() {
        for text in [
            "",
            "db:5432",
            "tcp://db",
            "tcp://:5432",
            "tcp://db:0",
            "tcp://db:65536",
            "tcp://[::1",
            "tcp://[::1]x:1",
            "http://a b/",
            "http://api/ HTTP/1.1\r\nHost: x",
            "https://api",
            "file://run",
            "ftp://a",
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".*") {
            drop(Target::parse(&text));
        }

        #[test]
        fn never_panics_behind_a_scheme(text in "(tcp|http|file)://[\\[\\]:/.a0-]{0,12}") {
            drop(Target::parse(&text));
        }
    }
}
