//! `floe login`: who the user is to a registry is kept where podman and docker keep it.

use std::io::Read;

use clap::Args;
use floe_destination::registry::ExchangeError;
use floe_destination::registry::credentials::{
    self, Credential, CredentialSources, LoginName, LoginPlace, Secret,
};
use serde_json::{Value, json};

use crate::arguments::RegistryArguments;
use crate::failure::{Failure, Outcome};
use crate::registries;
use crate::terminal::{Column, Table, Terminal};

const EXAMPLES: &str = "\
Examples:
  floe login registry.example.com                 asks for user name and password
  floe login ghcr.io -u me --password-stdin < token
  floe login registry.example.com/team            a login for what is below team alone
  floe login --list                               who is logged in where

podman, docker and skopeo find the login, and floe finds theirs.";

/// Longest password or token on standard input, in bytes.
const LONGEST_PASSWORD: u64 = 64 << 10;

/// Log in to a registry
///
/// The login is shown to the registry first, and kept when that one takes it: in the credential helper that is configured,
/// else in the file that podman, docker and skopeo read. The password is never an argument, which every process could read.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The registry's host, or a namespace in it: HOST[:PORT][/NAMESPACE]
    #[arg(required_unless_present = "list")]
    pub(crate) registry: Option<String>,
    /// The user name; asked for when it is not given
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// Read the password or token from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// List the logins that there are, without their passwords
    #[arg(long, conflicts_with_all = ["registry", "username", "password_stdin", "insecure"])]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Logs in, or lists logins.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let sources = registries::credentials(arguments.registries.authfile.as_deref());
    let Some(registry) = &arguments.registry else { return list(&sources, terminal) };
    let name: LoginName = registry.parse().map_err(Failure::usage)?;
    let username = username(arguments, terminal)?;
    let password = password(arguments, &username, &name, terminal)?;

    let client = registries::open(&arguments.registries, [name.host().to_owned()], terminal)?;
    let credential = Credential::Password { username: username.clone(), password: password.clone() };
    client.check_login(name.host(), credential.clone()).map_err(|error| {
        let status =
            ExchangeError::innermost(&error).and_then(ExchangeError::refusal).map(|refusal| refusal.status);
        let error = anyhow::Error::new(error).context(format!("cannot log in to {name} as {username}"));
        match status {
            Some(401 | 403) => Failure::from(error)
                .hint("check name and password; many registries want a token of their own"),
            _ => registries::explain(error, name.host()),
        }
    })?;
    let place = credentials::login(&sources, &name, &username, &password)?;
    if terminal.is_json() {
        terminal.json(&described(&name.to_string(), Some(&username), &place))?;
    } else {
        terminal.note(format!("logged in to {name} as {username}; kept {}", kept(&place)));
    }
    let below = name.namespace().unwrap_or_default();
    if credentials::find(&sources, name.host(), below)? != credential {
        terminal.warning(format!("another login goes first for {name}: floe login --list shows where it is"));
    }
    Ok(())
}

fn username(arguments: &Arguments, terminal: &Terminal) -> Outcome<String> {
    let username = match &arguments.username {
        Some(username) => username.clone(),
        None if arguments.password_stdin || !terminal.can_ask() => {
            return Err(Failure::bad_usage("no user name given").hint("add --username NAME"));
        }
        None => terminal.ask("user name")?,
    };
    // RFC 7617: what is before the first colon is the name.
    if username.is_empty() || username.contains(|character: char| character == ':' || character.is_control())
    {
        return Err(Failure::bad_usage(format!("'{username}' is no user name: expected one without ':'")));
    }
    Ok(username)
}

fn password(arguments: &Arguments, username: &str, name: &LoginName, terminal: &Terminal) -> Outcome<Secret> {
    let password = if arguments.password_stdin {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(LONGEST_PASSWORD + 1).read_to_string(&mut text);
        read.map_err(|error| {
            anyhow::Error::new(error).context("cannot read the password from standard input")
        })?;
        if text.len() as u64 > LONGEST_PASSWORD {
            let message = format!(
                "standard input holds more than a password: expected at most {LONGEST_PASSWORD} bytes"
            );
            return Err(Failure::bad_usage(message));
        }
        let line = text.strip_suffix('\n').unwrap_or(&text);
        line.strip_suffix('\r').unwrap_or(line).to_owned()
    } else if terminal.can_ask() {
        terminal.ask_secret(format!("password of {username} at {name}"))?
    } else {
        let failure = Failure::bad_usage("no password given, and standard input is no terminal to ask at");
        return Err(failure.hint("hand it over with --password-stdin < FILE"));
    };
    if password.is_empty() {
        return Err(Failure::bad_usage("the password is empty"));
    }
    Ok(Secret::new(password))
}

fn list(sources: &CredentialSources, terminal: &Terminal) -> Outcome {
    let logins = credentials::logins(sources)?;
    let mut table = Table::new([Column::Left("REGISTRY"), Column::Left("USER"), Column::Left("KEPT")]);
    for login in &logins {
        if terminal.is_json() {
            terminal.json(&described(&login.registry, login.username.as_deref(), &login.place))?;
            continue;
        }
        let username = login.username.clone().unwrap_or_else(|| "(a token)".to_owned());
        table.row([login.registry.clone(), username, kept(&login.place)]);
    }
    if terminal.is_json() {
        return Ok(());
    }
    if logins.is_empty() {
        terminal.note("nobody is logged in; log in with: floe login REGISTRY");
        return Ok(());
    }
    terminal.table(&table)
}

/// Where a login is, in words.
pub(super) fn kept(place: &LoginPlace) -> String {
    match place {
        LoginPlace::Variable(name) => format!("in {name}"),
        LoginPlace::File(path) => format!("in {}", path.display()),
        LoginPlace::Helper(name) => format!("by docker-credential-{name}"),
    }
}

/// A login for machines.
pub(super) fn described(registry: &str, username: Option<&str>, place: &LoginPlace) -> Value {
    let (kind, place) = match place {
        LoginPlace::Variable(name) => ("variable", (*name).to_owned()),
        LoginPlace::File(path) => ("file", path.display().to_string()),
        LoginPlace::Helper(name) => ("helper", name.clone()),
    };
    json!({ "registry": registry, "username": username, kind: place })
}
