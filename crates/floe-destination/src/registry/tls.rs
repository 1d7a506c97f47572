//! TLS for one host: whom floe trusts, and what it shows.
//!
//! A host's name and the folders of containers-certs.d(5) come in; a `rustls` client configuration goes out. Trusted
//! are the system's authorities (`SSL_CERT_FILE` is honoured), Mozilla's where a machine has none, and every `*.crt`
//! of the host's folder; `X.cert` with `X.key` is shown to servers that ask for a client certificate.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::credentials::CredentialEnvironment;

/// A host's certificates could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file or folder of `certs.d` cannot be read.
    #[error("cannot read '{}'", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file of `certs.d` is not PEM of the kind that its extension promises.
    #[error("'{}' is no {expected} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        expected: &'static str,
        /// The reader's reason.
        #[source]
        source: PemError,
    },
    /// A client certificate has no key, or a key no certificate; the server would refuse without a reason.
    #[error("'{}' has no '{}' beside it", path.display(), missing.display())]
    Pair {
        /// The file that is there.
        path: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// A client certificate and its key do not fit, or a certificate cannot be used.
    #[error("cannot use the certificates for '{host}'")]
    Unusable {
        /// The host.
        host: String,
        /// The library's reason.
        #[source]
        source: rustls::Error,
    },
}

/// The folders in which a folder for a host may be, first match wins.
pub(super) fn certificate_folders(environment: &CredentialEnvironment) -> Vec<PathBuf> {
    let own = environment.config_dir().map(|folder| folder.join("containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    own.into_iter().chain(system).collect()
}

/// The first existing folder for a host.
pub(super) fn host_folder(folders: &[PathBuf], host: &str) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(host)).find(|folder| folder.is_dir())
}

/// Makes the configuration for one host. `verify: false` accepts any certificate, for hosts marked insecure. `asked` is
/// set when the host asks for a client certificate and there is none.
pub(super) fn client_config(
    host: &str,
    folder: Option<&Path>,
    verify: bool,
    protocols: &[&str],
    asked: &Arc<AtomicBool>,
) -> Result<ClientConfig, TlsError> {
    let files = folder.map(HostFiles::read).transpose()?.unwrap_or_default();
    let unusable = |source| TlsError::Unusable { host: host.to_owned(), source };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = if verify {
        let mut roots = trusted().clone();
        for authority in files.authorities {
            roots.add(authority).map_err(unusable)?;
        }
        builder.with_root_certificates(roots)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    };
    let mut config = match files.client {
        Some((certificates, key)) => builder.with_client_auth_cert(certificates, key).map_err(unusable)?,
        None => builder.with_client_cert_resolver(Arc::new(NothingToShow(Arc::clone(asked)))),
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(config)
}

/// The configuration of a client that only speaks plain HTTP; no file is read for it.
pub(super) fn no_tls() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions that it was built with")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

/// The system's authorities, read once; Mozilla's where there are none.
fn trusted() -> &'static RootCertStore {
    static TRUSTED: OnceLock<RootCertStore> = OnceLock::new();
    TRUSTED.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // Files that cannot be read leave fewer authorities: a refused connection then, never a wrong one.
        let system = rustls_native_certs::load_native_certs().certs;
        let (added, _unusable) = roots.add_parsable_certificates(system);
        if added == 0 {
            roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        }
        roots
    })
}

/// What a host's folder holds.
#[derive(Default)]
struct HostFiles {
    authorities: Vec<CertificateDer<'static>>,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl HostFiles {
    fn read(folder: &Path) -> Result<Self, TlsError> {
        let failure = |source| TlsError::Read { path: folder.to_owned(), source };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(failure)? {
            paths.push(entry.map_err(failure)?.path());
        }
        paths.sort();
        let mut files = Self::default();
        for path in paths {
            let beside = |extension: &str| path.with_extension(extension);
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => files.authorities.extend(certificates(&path)?),
                Some("cert") if !beside("key").exists() => {
                    return Err(TlsError::Pair { missing: beside("key"), path });
                }
                Some("key") if !beside("cert").exists() => {
                    return Err(TlsError::Pair { missing: beside("cert"), path });
                }
                Some("cert") if files.client.is_none() => {
                    files.client = Some((certificates(&path)?, private_key(&beside("key"))?));
                }
                _ => {}
            }
        }
        Ok(files)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |source| TlsError::Pem { path: path.to_owned(), expected: "certificate", source };
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<_, _>>().map_err(pem)?;
    if found.is_empty() { Err(pem(PemError::NoItemsFound)) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|source| TlsError::Pem {
        path: path.to_owned(),
        expected: "private key",
        source,
    })
}

/// Has no certificate, and remembers that one was asked for.
#[derive(Debug)]
struct NothingToShow(Arc<AtomicBool>);

impl ResolvesClientCert for NothingToShow {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Accepts every certificate: for hosts that the user marked insecure.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
