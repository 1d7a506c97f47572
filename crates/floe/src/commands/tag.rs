//! `floe tag`: an image in a registry gets more tags.

use clap::Args;
use floe_destination::registry::ManifestName;
use floe_image::oci::Reference;
use serde_json::json;

use crate::arguments::RegistryArguments;
use crate::failure::{Failure, Outcome};
use crate::registries;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe tag registry.example.com/team/app:1.0.3 1.0 1 latest
  floe tag registry.example.com/team/app@sha256:45cc… stable";

/// Give an image in a registry more tags
///
/// Only the manifest is read and written again, byte for byte: no layer moves, and an index keeps all its platforms. A tag
/// that names another image names this one from now on.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The image: HOST/REPOSITORY[:TAG][@DIGEST]
    pub(crate) reference: String,
    /// The new tags, or whole references in the same repository
    #[arg(value_name = "NEW", required = true)]
    pub(crate) new: Vec<String>,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Writes the tags.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let reference = registries::parse(&arguments.reference)?;
    let tagged = arguments.new.iter().map(|new| tagged(&reference, new)).collect::<Outcome<Vec<_>>>()?;
    let repository = registries::repository(&arguments.registries, &reference, terminal)?;
    let name = ManifestName::of(&reference);
    let document = repository
        .manifest(&name)
        .map_err(|error| registries::explain_manifest(error, &repository, &name))?;
    for tagged in tagged {
        repository
            .put_manifest(&document, tagged.tag())
            .map_err(|error| registries::explain(error, repository.host()))?;
        let digest = document.descriptor.digest;
        if terminal.is_json() {
            terminal.json(&json!({ "reference": tagged.to_string(), "digest": digest }))?;
        } else {
            terminal.note(format!("{tagged}  {digest}"));
        }
    }
    Ok(())
}

/// The reference for a new tag.
fn tagged(reference: &Reference, new: &str) -> Outcome<Reference> {
    if !new.contains(['/', ':', '@']) {
        return reference.with_tag(new).map_err(Failure::usage);
    }
    let tagged = registries::parse(new)?;
    if tagged.digest().is_some() {
        return Err(Failure::bad_usage(format!("'{new}' names a digest: expected a tag")));
    }
    if (tagged.host(), tagged.repository()) != (reference.host(), reference.repository()) {
        let (host, repository) = (reference.host(), reference.repository());
        let failure = Failure::bad_usage(format!(
            "'{new}' is in another repository: expected a tag in {host}/{repository}"
        ));
        return Err(failure.hint("floe push and floe copy bring an image to another repository"));
    }
    Ok(tagged)
}
