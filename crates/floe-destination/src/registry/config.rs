//! How registries are spoken to: everything that a caller decides, and the events that it is told.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use floe_image::oci::Digest;

use super::credentials::CredentialSources;
use super::registries_conf::{self, RegistriesConfError};
use super::retry::RetryPolicy;
use super::tls;

/// How registries are spoken to.
#[derive(Clone)]
pub struct RegistryConfig {
    /// Where logins come from.
    pub credentials: CredentialSources,
    /// Folders with a folder of certificates for each host, first match wins.
    pub certificate_folders: Vec<PathBuf>,
    /// The files of `registries.conf`, in the order in which they are read.
    pub registries_conf: Vec<PathBuf>,
    /// Hosts for which plain HTTP and unknown certificates are accepted.
    pub insecure_hosts: BTreeSet<String>,
    /// `User-Agent`.
    pub user_agent: String,
    /// How many requests without large bodies a host gets at once.
    pub request_limit: usize,
    /// How many blobs are sent at once.
    pub upload_limit: usize,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
    /// How long a connection may be silent.
    pub stall_timeout: Duration,
    /// How long a registry may take to answer once it has a whole blob, which it may have to hash and move.
    pub commit_timeout: Duration,
    /// How often and how patiently failed requests are sent again.
    pub retry: RetryPolicy,
    /// How many bytes of a streamed blob are kept in memory, so that a broken upload can go on from there.
    pub replay_window: usize,
    /// Called for every event, from any thread.
    pub listener: Option<Listener>,
}

/// Takes events.
pub type Listener = Arc<dyn Fn(&RegistryEvent) + Send + Sync>;

/// Something that happened, for progress bars and logs. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryEvent {
    /// The registry holds the blob already.
    Present(Digest),
    /// The registry took the blob over from another of its repositories.
    Mounted(Digest),
    /// Bytes of a blob were handed to the network; a broken upload hands some out twice.
    Sent {
        /// The blob, where its digest is known beforehand.
        digest: Option<Digest>,
        /// How many bytes.
        bytes: u64,
    },
    /// The registry has the blob, whole.
    Uploaded {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// Bytes of a blob came.
    Received {
        /// The blob.
        digest: Digest,
        /// How many bytes.
        bytes: u64,
    },
    /// A request failed and is sent again.
    Retry {
        /// The host.
        host: String,
        /// What went wrong, in words.
        reason: String,
        /// How long floe waits first.
        wait: Duration,
    },
}

impl RegistryConfig {
    /// The configuration of a user's process: its environment, the user's and the machine's files.
    ///
    /// # Errors
    /// When a folder of `registries.conf` exists but cannot be read.
    pub fn of_process() -> Result<Self, RegistriesConfError> {
        let credentials = CredentialSources::of_process();
        let registries_conf = registries_conf::files(&credentials.environment)?;
        Ok(Self {
            certificate_folders: tls::certificate_folders(&credentials.environment),
            registries_conf,
            credentials,
            ..Self::bare()
        })
    }

    /// A configuration that reads no file and no environment variable, for tests and embedding.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            credentials: CredentialSources::default(),
            certificate_folders: Vec::new(),
            registries_conf: Vec::new(),
            insecure_hosts: BTreeSet::new(),
            user_agent: concat!("floe/", env!("CARGO_PKG_VERSION")).to_owned(),
            // Between 16 and 32: enough to hide the way to the registry, few enough for every registry's limits.
            request_limit: 24,
            // Between 4 and 8: more connections only share the same line.
            upload_limit: 6,
            connect_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(60),
            commit_timeout: Duration::from_secs(600),
            retry: RetryPolicy::default(),
            // More than the buffers of a connection hold, so that what they lost is still here.
            replay_window: 8 << 20,
            listener: None,
        }
    }
}

impl fmt::Debug for RegistryConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RegistryConfig").field("user_agent", &self.user_agent).finish_non_exhaustive()
    }
}
