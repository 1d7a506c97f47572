//! What may stand in floe's way on this machine, looked for before it does.
//!
//! Each file looks at one area and returns [`Finding`]s; nothing is changed, and nothing stops at the first problem.

mod finding;

mod disk;
mod engines;
mod nix;
mod project;
mod record;
mod registry;

pub(crate) use finding::{Finding, State};

use floe_image::oci::Reference;
use floe_store::Store;

use crate::arguments::RegistryArguments;
use crate::configuration::ConfigurationFile;
use crate::failure::Outcome;
use crate::places::Places;

/// What is looked at.
pub(crate) struct Patient<'a> {
    /// The Nix store.
    pub(crate) store: &'a Store,
    /// floe's folders, where the environment names any.
    pub(crate) places: &'a Outcome<Places>,
    /// The project's `floe.toml`, if there is one.
    pub(crate) file: &'a Outcome<Option<ConfigurationFile>>,
    /// Images that should be in registries.
    pub(crate) references: &'a [Reference],
    /// Images that may be in registries one day.
    pub(crate) later: &'a [Reference],
    /// How registries are spoken to.
    pub(crate) registries: &'a RegistryArguments,
}

/// Looks at everything, area by area.
pub(crate) fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let mut findings = nix::examine(patient.store);
    findings.extend(engines::examine());
    match patient.places {
        Ok(places) => {
            findings.extend(disk::examine(places, patient.store));
            findings.extend(record::examine(places));
        }
        Err(failure) => findings.push(Finding::of_failure("disk", failure)),
    }
    match patient.file {
        Ok(file) => findings.extend(project::examine(file.as_ref(), patient.store)),
        Err(failure) => findings.push(Finding::of_failure("project", failure)),
    }
    findings.extend(registry::examine(patient.references, patient.later, patient.registries));
    findings
}
