//! Credential helpers: `docker-credential-X`, which speak JSON on standard input and output.
//!
//! Protocol: docker-credential-helpers, "Development". `get` reads a host and answers
//! `{"ServerURL", "Username", "Secret"}`; the user name `<token>` says that the secret is an identity token.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde::{Deserialize, Serialize};

use super::secret::{Credential, Secret, TOKEN_USER};

/// What a helper says when it does not know a host (docker-credential-helpers, `errCredentialsNotFoundMessage`).
const NOT_FOUND: &str = "not found";

/// Enough of a helper's complaint to act on.
const LONGEST_COMPLAINT: usize = 300;

/// A helper could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// A login file names a helper with a path in it; only programs on `PATH` are run.
    #[error("'{0}' is not the name of a credential helper: expected letters, digits, '-', '_' or '.'")]
    Name(String),
    /// The login file names a helper that is not installed.
    #[error("'{0}' is not on PATH")]
    NotInstalled(String),
    /// The helper could not be run.
    #[error("cannot run '{program}'")]
    Run {
        /// The program.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The helper ended with a failure of its own, such as a locked key ring.
    #[error("'{program}' failed: {complaint}")]
    Failed {
        /// The program.
        program: String,
        /// What it said, shortened.
        complaint: String,
    },
    /// The helper's answer is not the JSON of its protocol.
    #[error("'{0}' answered something else than the JSON of a credential helper")]
    Answer(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stored<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

/// Where helpers are looked for.
pub(super) struct Helper<'a> {
    /// The name behind `docker-credential-`.
    pub(super) name: &'a str,
    /// The value of `PATH`.
    pub(super) search_path: Option<&'a OsString>,
}

impl Helper<'_> {
    /// Asks for a host's credential; `None` when the helper does not know it.
    pub(super) fn find(&self, key: &str) -> Result<Option<Credential>, HelperError> {
        let (program, output) = self.run("get", key.as_bytes())?;
        if !output.status.success() {
            return if is_not_found(&output) { Ok(None) } else { Err(failed(program, &output)) };
        }
        let answer: Answer =
            serde_json::from_slice(&output.stdout).map_err(|_| HelperError::Answer(program))?;
        let secret = Secret::new(answer.secret);
        Ok(match answer.username.as_str() {
            _ if secret.is_empty() => None,
            TOKEN_USER => Some(Credential::IdentityToken { username: None, token: secret }),
            _ => Some(Credential::Password { username: answer.username, password: secret }),
        })
    }

    /// All hosts that the helper knows, as it names them, with their users.
    pub(super) fn list(&self) -> Result<BTreeMap<String, String>, HelperError> {
        let (program, output) = self.run("list", b"")?;
        if !output.status.success() {
            return if is_not_found(&output) { Ok(BTreeMap::new()) } else { Err(failed(program, &output)) };
        }
        serde_json::from_slice(&output.stdout).map_err(|_| HelperError::Answer(program))
    }

    /// Hands a login over for safe keeping.
    pub(super) fn store(&self, key: &str, username: &str, secret: &Secret) -> Result<(), HelperError> {
        let stored = Stored { server_url: key, username, secret: secret.reveal() };
        let input = serde_json::to_vec(&stored).expect("three texts can always be written as JSON");
        let (program, output) = self.run("store", &input)?;
        if output.status.success() { Ok(()) } else { Err(failed(program, &output)) }
    }

    /// Forgets a host; true when there was something to forget.
    pub(super) fn erase(&self, key: &str) -> Result<bool, HelperError> {
        let (program, output) = self.run("erase", key.as_bytes())?;
        match output.status.success() {
            true => Ok(true),
            false if is_not_found(&output) => Ok(false),
            false => Err(failed(program, &output)),
        }
    }

    fn run(&self, action: &str, input: &[u8]) -> Result<(String, Output), HelperError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(is_plain) {
            return Err(HelperError::Name(self.name.to_owned()));
        }
        let program = format!("docker-credential-{}", self.name);
        let path = self.locate(&program).ok_or_else(|| HelperError::NotInstalled(program.clone()))?;
        let failure = |source| HelperError::Run { program: program.clone(), source };
        let mut command = Command::new(path);
        command.arg(action).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failure)?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input) {
                // A helper may answer without reading; its exit status says whether that was well.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(failure(error)),
                _ => {}
            }
        }
        let output = child.wait_with_output().map_err(failure)?;
        Ok((program, output))
    }

    fn locate(&self, program: &str) -> Option<PathBuf> {
        let folders = self.search_path.map(std::env::split_paths)?;
        folders.map(|folder| folder.join(program)).find(|path| path.is_file())
    }
}

fn is_not_found(output: &Output) -> bool {
    [&output.stdout, &output.stderr]
        .into_iter()
        .any(|text| String::from_utf8_lossy(text).to_ascii_lowercase().contains(NOT_FOUND))
}

fn failed(program: String, output: &Output) -> HelperError {
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(said);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it gave no reason");
    let complaint =
        line.chars().filter(|character| !character.is_control()).take(LONGEST_COMPLAINT).collect();
    HelperError::Failed { program, complaint }
}
