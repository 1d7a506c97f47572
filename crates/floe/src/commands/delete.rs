//! `floe delete`: an image, or one of its tags, leaves a registry.

use clap::Args;
use floe_destination::registry::{ExchangeError, ManifestError, ManifestName, Repository};
use serde_json::json;

use crate::arguments::RegistryArguments;
use crate::failure::{Failure, Outcome};
use crate::registries;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe delete registry.example.com/team/app:1.0        the tag alone; asks first
  floe delete --yes registry.example.com/team/app@sha256:45cc…
                                                       the image with every tag that names it";

/// Delete an image or a tag from a registry
///
/// A tag is deleted alone: the image stays under its digest and its other tags. A digest is deleted with every tag that
/// names it. Layers are left for the registry's own garbage collection. Not every registry deletes.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The tag or the image: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST
    pub(crate) reference: String,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Deletes the tag or the image.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let reference = registries::parse(&arguments.reference)?;
    let named = arguments.reference.trim_start_matches("docker://");
    // Nobody who leaves the tag away means to delete `latest`.
    if reference.digest().is_none() && !named.ends_with(&format!(":{}", reference.tag().unwrap_or_default()))
    {
        let failure =
            Failure::bad_usage(format!("'{named}' names a repository: expected a tag or a digest behind it"));
        return Err(failure.hint(format!("such as {named}:latest; floe tags {named} lists the tags")));
    }
    let repository = registries::repository(&arguments.registries, &reference, terminal)?;
    let name = ManifestName::of(&reference);
    if !arguments.yes && !is_wanted(&repository, &name, terminal)? {
        terminal.note("nothing was deleted");
        return Ok(());
    }
    let was_there = repository.delete_manifest(&name).map_err(|error| explain(error, &repository, &name))?;
    if !was_there {
        let error = anyhow::anyhow!("'{reference}' is not there");
        return Err(registries::missing(error, &repository, &name));
    }
    if terminal.is_json() {
        return terminal.json(&json!({ "deleted": reference.to_string() }));
    }
    terminal.note(format!("deleted {reference}"));
    Ok(())
}

fn is_wanted(repository: &Repository, name: &ManifestName, terminal: &Terminal) -> Outcome<bool> {
    if !terminal.can_ask() {
        let failure = Failure::bad_usage("standard input is no terminal to ask at: expected --yes");
        return Err(failure.hint("--yes deletes without asking"));
    }
    let question = match name {
        ManifestName::Tag(tag) => format!("delete the tag {tag} from {repository}?"),
        ManifestName::Digest(digest) => {
            format!("delete {digest} from {repository}, with every tag that names it?")
        }
    };
    terminal.confirm(question)
}

fn explain(error: ManifestError, repository: &Repository, name: &ManifestName) -> Failure {
    let status =
        ExchangeError::innermost(&error).and_then(ExchangeError::refusal).map(|refusal| refusal.status);
    match (status, name) {
        // The specification's answer to a delete that is switched off, and what distribution 2.8 says to a tag.
        (Some(405 | 400), ManifestName::Tag(_)) => {
            let digest = repository.descriptor(name).ok().flatten().map(|descriptor| descriptor.digest);
            let failure = Failure::from(error);
            match digest {
                Some(digest) => failure.hint(format!(
                    "the registry may delete the image with all its tags: floe delete {repository}@{digest}"
                )),
                None => failure,
            }
        }
        (Some(405), ManifestName::Digest(_)) => Failure::from(error)
            .hint("the registry does not delete; whoever runs it may switch that on, or delete there"),
        _ => registries::explain(error, repository.host()),
    }
}
