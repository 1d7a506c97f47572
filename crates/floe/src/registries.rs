//! Registries as commands use them: opened with the command's flags, and their refusals explained.
//!
//! What a registry client says is precise about the request; here it gets the next step: log in, trust an authority, or
//! the tag that was probably meant.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use floe_destination::registry::credentials::CredentialSources;
use floe_destination::registry::{
    ExchangeError, ManifestError, ManifestName, Registry, RegistryConfig, RegistryEvent, Repository,
};
use floe_image::oci::{ParseReferenceError, Reference};

use crate::arguments::RegistryArguments;
use crate::failure::{Failure, Outcome};
use crate::suggestion;
use crate::terminal::{Terminal, duration};

/// How many tags a hint lists.
const TAGS_IN_A_HINT: usize = 8;

/// Where logins are looked for: in the file that was named, else where podman and docker keep them.
pub(crate) fn credentials(authfile: Option<&Path>) -> CredentialSources {
    CredentialSources { auth_file: authfile.map(Path::to_owned), ..CredentialSources::of_process() }
}

/// A client for registries; `hosts` are those that the user named.
pub(crate) fn open(
    arguments: &RegistryArguments,
    hosts: impl IntoIterator<Item = String>,
    terminal: &Terminal,
) -> Outcome<Registry> {
    let told = terminal.clone();
    let config = RegistryConfig {
        credentials: credentials(arguments.authfile.as_deref()),
        insecure_hosts: if arguments.insecure { hosts.into_iter().collect() } else { BTreeSet::new() },
        listener: Some(Arc::new(move |event| tell(event, &told))),
        ..RegistryConfig::of_process()?
    };
    Ok(Registry::new(config)?)
}

fn tell(event: &RegistryEvent, terminal: &Terminal) {
    if let RegistryEvent::Retry { reason, wait, .. } = event {
        terminal.detail(format!("{reason}; trying again in {}", duration(*wait)));
    }
}

/// Opens the repository of a reference.
pub(crate) fn repository(
    arguments: &RegistryArguments,
    reference: &Reference,
    terminal: &Terminal,
) -> Outcome<Repository> {
    Ok(open(arguments, [reference.host().to_owned()], terminal)?.repository(reference)?)
}

/// Reads a reference, with or without the `docker://` that other commands want.
pub(crate) fn parse(text: &str) -> Outcome<Reference> {
    let name = text.strip_prefix("docker://").unwrap_or(text);
    name.parse().map_err(|error: ParseReferenceError| {
        Failure::usage(error).hint("such as registry.example.com/team/app:1.0")
    })
}

/// A failure to do something with a registry's host, with the next step where one is known.
pub(crate) fn explain(error: impl Into<anyhow::Error>, host: &str) -> Failure {
    let failure = Failure::from(error);
    let Some(cause) = ExchangeError::innermost(failure.error.as_ref()) else { return failure };
    let hint = match (cause, cause.refusal()) {
        (_, Some(refusal)) => match refusal.status {
            401 => format!("log in: floe login {host}"),
            403 => format!("the login may not do this; log in as somebody who may: floe login {host}"),
            429 => format!("wait, or log in, since many registries limit strangers more: floe login {host}"),
            _ => return failure,
        },
        (ExchangeError::Untrusted { .. }, _) => format!(
            "where the registry has an authority of its own, put that one's certificate into \
             ~/.config/containers/certs.d/{host}/ca.crt; --insecure accepts any certificate and plain HTTP"
        ),
        (ExchangeError::ClientCertificate { .. }, _) => format!(
            "put the certificate and its key into ~/.config/containers/certs.d/{host}, as client.cert and client.key"
        ),
        (ExchangeError::Connect { .. }, _) => {
            "check the name, and that the registry can be reached from here".to_owned()
        }
        _ => return failure,
    };
    failure.hint(hint)
}

/// A failure to read, write or delete a manifest; for one that is not there, with the tags that are.
pub(crate) fn explain_manifest(
    error: ManifestError,
    repository: &Repository,
    name: &ManifestName,
) -> Failure {
    if !matches!(error, ManifestError::Missing { .. }) {
        return explain(error, repository.host());
    }
    missing(error, repository, name)
}

/// The failure of a manifest that is not there, with the tag that was probably meant.
pub(crate) fn missing(
    error: impl Into<anyhow::Error>,
    repository: &Repository,
    name: &ManifestName,
) -> Failure {
    let (failure, place) = (Failure::from(error), repository.to_string());
    // The tags only help; a registry that does not list them leaves the error as it is.
    let tags = repository.tags().unwrap_or_default();
    let nearest = match name {
        ManifestName::Tag(tag) => suggestion::nearest(tag, tags.iter().map(String::as_str)),
        ManifestName::Digest(_) => None,
    };
    match (nearest, tags.len()) {
        (Some(nearest), _) => failure.hint(format!("did you mean '{place}:{nearest}'?")),
        (None, 0) => failure.hint(format!("no tag is listed in {place}: is the name right?")),
        (None, 1..=TAGS_IN_A_HINT) => failure.hint(format!("{place} has: {}", tags.join(", "))),
        (None, count) => failure.hint(format!("{place} has {count} tags: floe tags {place}")),
    }
}
