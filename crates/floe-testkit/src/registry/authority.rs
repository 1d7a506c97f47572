//! Keys, certificates and signatures, made by `openssl`: a certificate authority that lives for one test.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::service::output::{CommandError, run};
use crate::service::program::{self, MissingProgram};

/// Making a key takes `openssl` a few milliseconds.
const OPENSSL_TIMEOUT: Duration = Duration::from_secs(60);

/// A certificate could not be made, or a text not be signed.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// `openssl` is not installed.
    #[error(transparent)]
    Missing(#[from] MissingProgram),
    /// `openssl` failed.
    #[error(transparent)]
    Openssl(#[from] CommandError),
    /// A file of the authority cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A certificate authority with its files in a directory of the caller's.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
}

impl Authority {
    /// A name that every server's certificate has, for a client that reaches it through a proxy. Documents use it, and no
    /// machine is called so (RFC 2606, section 3).
    pub const SERVER: &str = "registry.example.com";

    /// Makes a P-256 key and a self-signed certificate, valid for two days.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`].
    pub fn new(directory: &Path) -> Result<Self, AuthorityError> {
        let authority = Self { directory: directory.to_owned() };
        let mut command = openssl()?;
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-days", "2", "-subj", "/CN=floe test authority"]);
        command.arg("-keyout").arg(authority.key()).arg("-out").arg(authority.certificate());
        run(&mut command, OPENSSL_TIMEOUT)?;
        Ok(authority)
    }

    /// The authority's certificate, PEM: what a client has to trust.
    pub fn certificate(&self) -> PathBuf {
        self.directory.join("authority.crt")
    }

    fn key(&self) -> PathBuf {
        self.directory.join("authority.key")
    }

    /// Issues a certificate and its key for a server on this machine, also by the name [`Self::SERVER`], or for a client
    /// of that name.
    ///
    /// Returns the paths of the certificate and of the key, `<name>.crt` and `<name>.key`, both PEM.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`].
    pub fn issue(&self, name: &str) -> Result<(PathBuf, PathBuf), AuthorityError> {
        let file = |extension: &str| self.directory.join(format!("{name}.{extension}"));
        let (certificate, key) = (file("crt"), file("key"));
        let mut command = openssl()?;
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-days", "2", "-subj", &format!("/CN={name}")]);
        command.arg("-CA").arg(self.certificate()).arg("-CAkey").arg(self.key());
        let names = format!(
            "subjectAltName=IP:{},IP:{},DNS:localhost,DNS:{}",
            Ipv4Addr::LOCALHOST,
            Ipv6Addr::LOCALHOST,
            Self::SERVER
        );
        command.args(["-addext", &names]);
        // webpki refuses the certificate of an authority as a server's own.
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        command.args(["-addext", "extendedKeyUsage=serverAuth,clientAuth"]);
        command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        run(&mut command, OPENSSL_TIMEOUT)?;
        Ok((certificate, key))
    }

    /// The certificate's DER bytes in base64, as in a token's `x5c` header: RFC 7515, section 4.1.6.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::File`].
    pub(super) fn x5c(&self) -> Result<String, AuthorityError> {
        let path = self.certificate();
        let pem = fs::read_to_string(&path).map_err(|source| AuthorityError::File { path, source })?;
        Ok(pem.lines().filter(|line| !line.starts_with("-----")).collect())
    }

    /// Signs `text` with ES256 and returns the signature in base64url: RFC 7518, section 3.4.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`].
    pub(super) fn sign(&self, text: &str) -> Result<String, AuthorityError> {
        let path = self.directory.join("signature");
        let file = |source| AuthorityError::File { path: path.clone(), source };
        let mut input = tempfile::NamedTempFile::new_in(&self.directory).map_err(file)?;
        std::io::Write::write_all(&mut input, text.as_bytes()).map_err(file)?;
        let output = tempfile::NamedTempFile::new_in(&self.directory).map_err(file)?;
        let mut command = openssl()?;
        command.args(["dgst", "-sha256", "-sign"]).arg(self.key());
        command.arg("-out").arg(output.path()).arg(input.path());
        run(&mut command, OPENSSL_TIMEOUT)?;
        let der = fs::read(output.path()).map_err(file)?;
        Ok(URL_SAFE_NO_PAD.encode(raw_signature(&der)))
    }
}

fn openssl() -> Result<Command, MissingProgram> {
    Ok(Command::new(program::find("openssl")?))
}

/// Turns `SEQUENCE { INTEGER r, INTEGER s }` into r and s of 32 bytes each.
fn raw_signature(der: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(64);
    // 0x30, length; then twice 0x02, length, value. The whole is shorter than 128 bytes, so each length is one byte.
    let mut rest = der.get(2..).unwrap_or_default();
    while let [0x02, length, tail @ ..] = rest {
        let (value, next) = tail.split_at(usize::from(*length).min(tail.len()));
        let significant = value.iter().position(|&byte| byte != 0).map_or(&[][..], |start| &value[start..]);
        raw.resize(raw.len() + 32_usize.saturating_sub(significant.len()), 0);
        raw.extend_from_slice(significant);
        rest = next;
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_a_signature_get_32_bytes_each() {
        let der = [&[0x30, 0x26, 0x02, 0x21, 0x00][..], &[0x80; 32], &[0x02, 0x01, 0x05]].concat();
        let raw = raw_signature(&der);
        assert_eq!(raw, [&[0x80; 32][..], &[0; 31], &[0x05]].concat());
        assert!(raw_signature(&[]).is_empty());
    }
}
