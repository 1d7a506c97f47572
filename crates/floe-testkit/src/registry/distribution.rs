//! `docker-registry`, Debian's build of distribution 2.8, with its blobs in a private directory.
//!
//! It listens on a port of the kernel's choice, which it says in its log. It has no referrers API, ignores a POST
//! with a whole blob, and answers 202 to a mount without `from`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::authority::{Authority, AuthorityError};
use super::token_server::{ISSUER, SERVICE, TokenServer};
use crate::service::directory::{Directory, DirectoryError};
use crate::service::process::{Process, StartError};

/// [`USERNAME`](super::USERNAME) and [`PASSWORD`](super::PASSWORD), made with
/// `htpasswd -nbB -C 5 floe 'open sesame:1'`: the registry knows only bcrypt. 5 is the least cost that it accepts
/// and keeps a test's many requests fast.
const HTPASSWD: &str = "floe:$2y$05$8jT8sVl7CPAFskQPv9FNVum3SxQHbcmprzqrYK3mmGobnDNUfQEwa\n";

/// How a registry asks who is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Authentication {
    /// Not at all.
    #[default]
    Open,
    /// With user name and password: [`USERNAME`](super::USERNAME), [`PASSWORD`](super::PASSWORD).
    Basic,
    /// With a token from a [`TokenServer`], valid for this long.
    Token {
        /// From a token's issue to its end.
        lifetime: Duration,
    },
}

/// How a registry is set up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Who may use it.
    pub authentication: Authentication,
    /// Whether it speaks HTTPS, with a certificate of its own authority.
    pub tls: bool,
    /// Whether it speaks only to clients with a certificate from that authority; without `tls` it does nothing.
    pub client_certificates: bool,
}

/// A registry did not start.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Its private directory could not be made.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Its keys could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The program did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A server of this process found no port.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[source] io::Error),
}

/// A running registry. Dropping it stops it and removes its blobs.
#[derive(Debug)]
pub struct Distribution {
    address: SocketAddr,
    // Invariant: declared before the directory, so that it has stopped when that is removed.
    process: Process,
    authority: Option<Authority>,
    token_server: Option<TokenServer>,
    directory: Directory,
}

impl Distribution {
    /// Starts an empty registry and waits until it listens: a twentieth of a second on an idle machine.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]; a missing program is named with its Debian package.
    pub fn start(configuration: Configuration) -> Result<Self, RegistryError> {
        let directory = Directory::new("registry")?;
        let mut text = format!(
            "version: 0.1\n\
             log: {{ level: info, accesslog: {{ disabled: false }} }}\n\
             storage:\n\
             \x20 filesystem: {{ rootdirectory: '{}' }}\n\
             \x20 delete: {{ enabled: true }}\n\
             http:\n\
             \x20 addr: 127.0.0.1:0\n\
             \x20 secret: floe\n",
            directory.join("data").display()
        );
        let mut authority = None;
        if configuration.tls {
            let ours = Authority::new(&directory.create("tls")?)?;
            let (certificate, key) = ours.issue("server")?;
            let (certificate, key) = (certificate.display(), key.display());
            text += &format!("  tls:\n    certificate: '{certificate}'\n    key: '{key}'\n");
            if configuration.client_certificates {
                text += &format!("    clientcas: ['{}']\n", ours.certificate().display());
            }
            authority = Some(ours);
        }
        let mut token_server = None;
        match configuration.authentication {
            Authentication::Open => {}
            Authentication::Basic => {
                let path = directory.write("htpasswd", HTPASSWD)?;
                text += &format!("auth:\n  htpasswd: {{ realm: floe, path: '{}' }}\n", path.display());
            }
            Authentication::Token { lifetime } => {
                let signer = Authority::new(&directory.create("token")?)?;
                let bundle = signer.certificate();
                let server = TokenServer::start(signer, lifetime).map_err(RegistryError::Listen)?;
                text += &format!(
                    "auth:\n\
                     \x20 token:\n\
                     \x20   realm: {}\n\
                     \x20   service: {SERVICE}\n\
                     \x20   issuer: {ISSUER}\n\
                     \x20   rootcertbundle: '{}'\n",
                    server.realm(),
                    bundle.display()
                );
                token_server = Some(server);
            }
        }

        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(directory.write("config.yml", text)?);
        let mut process = Process::start(&command, directory.join("log"))?;
        let address = process.wait_until(listening_address)?;
        Ok(Self { address, process, authority, token_server, directory })
    }

    /// Where the registry listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The registry's host as in an image reference: `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// What a client has to trust, and what issues client certificates; `None` without TLS.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// The server that gives out tokens; `None` with other authentication.
    pub fn token_server(&self) -> Option<&TokenServer> {
        self.token_server.as_ref()
    }

    /// Where the registry keeps its blobs and manifests; absent until the first push.
    pub fn storage(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Everything that the registry has logged, a line for each request among it.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// Finds the address in `… msg="listening on 127.0.0.1:40513, tls" …`.
fn listening_address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("listening on ")?;
    let end = rest.find(|character: char| !character.is_ascii_digit() && !".:".contains(character))?;
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_a_whole_line_only() {
        let address = |log| listening_address(log).map(|address| address.port());
        assert_eq!(address("level=info msg=\"listening on 127.0.0.1:40513\" go.version=x"), Some(40513));
        assert_eq!(address("level=info msg=\"listening on 127.0.0.1:40513, tls\""), Some(40513));
        assert_eq!(address("level=info msg=\"listening on 127.0.0.1:405"), None);
        assert_eq!(address("level=info"), None);
    }
}
