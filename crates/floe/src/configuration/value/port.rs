//! Ports that an image says it listens on.

use std::fmt;
use std::str::FromStr;

use super::BadValue;

/// A port with its protocol, as `ExposedPorts` writes it: `3000/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    /// From 1 to 65535.
    pub(crate) number: u16,
    /// The protocol.
    pub(crate) protocol: Protocol,
}

/// The protocols that engines publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// What a port without a protocol means.
    Tcp,
    /// Datagrams.
    Udp,
    /// SCTP.
    Sctp,
}

impl FromStr for Port {
    type Err = BadValue;

    /// Reads `3000` and `3000/udp`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected =
            || BadValue::new(text, "a port", "a number from 1 to 65535, such as 3000, 3000/tcp or 53/udp");
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return Err(expected()),
        };
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        match number.parse() {
            Ok(number) if number != 0 && is_plain => Ok(Self { number, protocol }),
            _ if text.contains(':') => Err(expected()
                .hint("an image only says where it listens; `floe run --publish` chooses the host's port")),
            _ => Err(expected()),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        };
        write!(formatter, "{}/{protocol}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ports() {
        for (text, expected) in [
            ("3000", Some("3000/tcp")),
            ("53/udp", Some("53/udp")),
            ("65535/sctp", Some("65535/sctp")),
            ("0", None),
            ("65536", None),
            ("+80", None),
            ("80/http", None),
            ("8080:80", None),
            ("", None),
        ] {
            let found = text.parse::<Port>().ok().map(|port| port.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
