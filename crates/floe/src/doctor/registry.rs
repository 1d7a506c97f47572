//! Registries: whether they can be reached, whether they know the user, and whether images are there.

use std::collections::BTreeSet;
use std::time::Duration;

use floe_destination::registry::credentials;
use floe_destination::registry::{ManifestName, Registry, RegistryConfig, RetryPolicy};
use floe_image::oci::Reference;

use super::Finding;
use crate::arguments::RegistryArguments;
use crate::failure::Outcome;
use crate::registries;

const AREA: &str = "registries";

/// How long a registry may take to be reached: whoever asks a doctor waits for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks for each image; one that is only wanted `later` is no problem where it is not there yet.
pub(super) fn examine(
    references: &[Reference],
    later: &[Reference],
    arguments: &RegistryArguments,
) -> Vec<Finding> {
    if references.is_empty() && later.is_empty() {
        let what = "no registry is named: floe doctor HOST/REPOSITORY looks whether it can be reached";
        return vec![Finding::ok(AREA, what)];
    }
    let hosts: BTreeSet<String> =
        references.iter().chain(later).map(|reference| reference.host().to_owned()).collect();
    let client = match client(arguments, &hosts) {
        Ok(client) => client,
        Err(failure) => return vec![Finding::of_failure(AREA, &failure)],
    };
    let look = |reference: &Reference| {
        one(&client, reference, arguments).unwrap_or_else(|failure| Finding::of_failure(AREA, &failure))
    };
    let now = references.iter().map(look);
    now.chain(later.iter().map(|reference| look(reference).lenient())).collect()
}

fn client(arguments: &RegistryArguments, hosts: &BTreeSet<String>) -> Outcome<Registry> {
    let config = RegistryConfig {
        credentials: registries::credentials(arguments.authfile.as_deref()),
        insecure_hosts: if arguments.insecure { hosts.clone() } else { BTreeSet::new() },
        connect_timeout: PATIENCE,
        stall_timeout: PATIENCE,
        retry: RetryPolicy { attempts: 1, ..RetryPolicy::default() },
        ..RegistryConfig::of_process()?
    };
    Ok(Registry::new(config)?)
}

fn one(client: &Registry, reference: &Reference, arguments: &RegistryArguments) -> Outcome<Finding> {
    let (host, name) = (reference.host(), ManifestName::of(reference));
    let sources = registries::credentials(arguments.authfile.as_deref());
    let login = credentials::find(&sources, host, reference.repository())?;
    let as_whom = if login.is_anonymous() { "without a login" } else { "with the login that is kept" };
    let repository = client.repository(reference)?;
    match repository.descriptor(&name) {
        Ok(Some(found)) => {
            Ok(Finding::ok(AREA, format!("{reference} is there ({as_whom}): {}", found.digest.short())))
        }
        Ok(None) => {
            let error = anyhow::anyhow!("{reference} is not there; {host} answers ({as_whom})");
            Err(registries::missing(error, &repository, &name))
        }
        Err(error) => Err(registries::explain_manifest(error, &repository, &name)),
    }
}
