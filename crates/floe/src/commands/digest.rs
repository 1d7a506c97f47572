//! `floe digest`: which bytes a name stands for now.

use clap::Args;
use floe_destination::SourceName;
use floe_destination::registry::ManifestName;
use floe_image::oci::{Descriptor, Reference};
use serde_json::json;

use crate::failure::Outcome;
use crate::looking::LookArguments;
use crate::places::Places;
use crate::registries;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe digest registry.example.com/team/app:1.0    what the tag names; one request, no download
  floe digest docker.io/library/node:22 --platform linux/arm64
  floe digest oci:images:1.0                       of an image in a layout";

/// Print the digest of an image's manifest or index
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

/// Prints the digest.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let look = &arguments.look;
    let descriptor = match look.name(&Places::find()?)? {
        // Registries count what is read and not what is asked for.
        SourceName::Registry(reference) if look.platform.is_none() => ask(look, &reference, terminal)?,
        _ => look.manifest(terminal)?.descriptor,
    };
    if !terminal.is_json() {
        return terminal.line(descriptor.digest);
    }
    terminal.json(&json!({
        "image": look.image, "digest": descriptor.digest, "mediaType": descriptor.media_type, "size": descriptor.size,
    }))
}

/// Asks a registry for a descriptor alone.
fn ask(look: &LookArguments, reference: &Reference, terminal: &Terminal) -> Outcome<Descriptor> {
    let repository = registries::repository(&look.registries, reference, terminal)?;
    let name = ManifestName::of(reference);
    let found =
        repository.descriptor(&name).map_err(|error| registries::explain(error, repository.host()))?;
    found
        .ok_or_else(|| registries::missing(anyhow::anyhow!("'{reference}' is not there"), &repository, &name))
}
