//! What a test does with any engine.
//!
//! A container runs hardened, as on a careful cluster: a root file system that is read-only, without even a `/tmp`,
//! no capabilities, no new privileges. An image that runs so runs anywhere; a test that needs less says so in
//! [`Run::options`].

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::http::client;
use crate::service::directory::DirectoryError;
use crate::service::output::{COMMAND_TIMEOUT, CommandError, Output, run};
use crate::service::process::StartError;
use crate::service::program::MissingProgram;

/// How long a container may take until its server answers.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// An engine did not do what a test needs.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A program is not installed.
    #[error(transparent)]
    Missing(#[from] MissingProgram),
    /// The engine's private directory could not be made.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The engine's daemon did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// One of the engine's commands failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// An engine wrote something that this kit cannot read.
    #[error("{engine} wrote `{text}`, not {expected}")]
    Unreadable {
        /// The engine's name.
        engine: &'static str,
        /// What it wrote.
        text: String,
        /// What was expected.
        expected: &'static str,
    },
    /// No page came from a container; its log is shown.
    #[error("no page from the container; its log:\n{log}")]
    Page {
        /// What the container's programs wrote.
        log: String,
        /// The last failure.
        source: io::Error,
    },
}

/// What to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run<'a> {
    /// The image's reference.
    pub image: &'a str,
    /// What follows the image on the command line: arguments of the entrypoint, or a command. `ctr` replaces both
    /// the image's entrypoint and its command with them; the other engines keep the entrypoint.
    pub arguments: &'a [&'a str],
    /// More options of this engine's `run`, such as `--env` and a value.
    pub options: &'a [&'a str],
    /// The port that the program listens on. docker and containerd use the host's network, so it should be one from
    /// [`free_port`](crate::service::port::free_port).
    pub port: Option<u16>,
}

/// A container engine.
pub trait Engine: fmt::Debug + Send + Sync {
    /// The engine's name: `podman`, `docker` or `containerd`.
    fn name(&self) -> &'static str;

    /// The variables that make the engine's usual client, found in `PATH`, use this engine; also when `floe` calls
    /// that client.
    fn environment(&self) -> Vec<(String, String)>;

    /// Returns a command of the engine's client with [`environment`](Self::environment) set, still without
    /// arguments.
    fn command(&self) -> Command;

    /// Loads an image archive and returns what the client said.
    ///
    /// # Errors
    ///
    /// [`EngineError::Command`].
    fn load(&self, archive: &Path) -> Result<Output, EngineError>;

    /// Lists the references of all images, sorted, as this engine writes them.
    ///
    /// # Errors
    ///
    /// [`EngineError::Command`].
    fn images(&self) -> Result<Vec<String>, EngineError>;

    /// Runs a container to its end and returns what it wrote. There is no network but loopback where the engine has
    /// that; `ctr` always gives its container a network of its own without devices.
    ///
    /// # Errors
    ///
    /// [`EngineError::Command`], also when the container's program ends with another status than 0.
    fn run(&self, run: &Run<'_>) -> Result<Output, EngineError>;

    /// Starts a container that stays until the returned value is dropped.
    ///
    /// # Errors
    ///
    /// [`EngineError::Command`].
    fn run_detached(&self, run: &Run<'_>) -> Result<Container<'_>, EngineError>;

    /// What the container's programs wrote so far, standard output first.
    ///
    /// # Errors
    ///
    /// [`EngineError::Command`].
    fn logs(&self, container: &str) -> Result<String, EngineError>;

    /// Kills and removes a container.
    ///
    /// # Errors
    ///
    /// [`EngineError::Command`].
    fn remove(&self, container: &str) -> Result<(), EngineError>;
}

/// A container in the background. Dropping it removes it.
#[derive(Debug)]
pub struct Container<'engine> {
    engine: &'engine dyn Engine,
    name: String,
    address: Option<SocketAddr>,
}

impl<'engine> Container<'engine> {
    pub(super) fn new(engine: &'engine dyn Engine, name: String, port: Option<u16>) -> Self {
        Self { engine, name, address: port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))) }
    }

    /// Sets the port on 127.0.0.1 that reaches the container.
    pub(super) fn at(mut self, port: u16) -> Self {
        self.address = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        self
    }

    /// The container's name in its engine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where this machine reaches the container's port; `None` when [`Run::port`] was `None`.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Fetches a page from the container, and waits up to 30 seconds for its server.
    ///
    /// # Errors
    ///
    /// [`EngineError::Page`], with the container's log.
    ///
    /// # Panics
    ///
    /// When [`Run::port`] was `None`.
    pub fn fetch(&self, path: &str) -> Result<String, EngineError> {
        let address = self.address.expect("a container that serves pages was started with a port");
        client::fetch(address, path, PAGE_TIMEOUT).map_err(|source| {
            let log = self.engine.logs(&self.name).unwrap_or_else(|error| format!("(no log: {error})"));
            EngineError::Page { log, source }
        })
    }

    /// What the container's programs wrote so far.
    ///
    /// # Errors
    ///
    /// [`EngineError::Command`].
    pub fn logs(&self) -> Result<String, EngineError> {
        self.engine.logs(&self.name)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // A container that could not be removed goes with its engine.
        drop(self.engine.remove(&self.name));
    }
}

/// A name that no other container of any engine on this machine has.
///
/// The state of runc that `ctr` uses lies in one directory for all daemons of the machine, by namespace and name.
pub(super) fn container_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("floe-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs a client's command.
pub(super) fn finish(command: &mut Command) -> Result<Output, EngineError> {
    Ok(run(command, COMMAND_TIMEOUT)?)
}

/// The lines of a listing, sorted, each once.
pub(super) fn sorted_lines(listing: &str) -> Vec<String> {
    let mut lines: Vec<String> = listing.lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    lines
}
