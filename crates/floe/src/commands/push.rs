//! `floe push`: a recorded image goes to registries.

use clap::Args;
use floe_destination::registry::PushConfig;
use floe_destination::{DestinationName, ImageName};
use floe_image::oci::Reference;
use serde_json::json;

use crate::arguments::RegistryArguments;
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recorded::{self, Recorded};
use crate::terminal::{Terminal, size};
use crate::transports::Transports;
use crate::workshop::Workshop;

const EXAMPLES: &str = "\
Examples:
  floe push registry.example.com/team/app:1.0      push the only recorded image
  floe push app registry.example.com/team/app:1.0  push app:latest under another name
  floe push app ghcr.io/team/app:1.0 ghcr.io/team/app:latest docker.io/team/app:1.0
                                                   read or pack once, send to both hosts at once
  floe push app ghcr.io/team/app:1.1 --previous-tag 1.0
                                                   ask for nothing that 1.0 has already

Logins that podman, docker or skopeo made are used.";

/// Push a recorded image to a registry, sending only what it lacks
///
/// The first word is a recorded image if it names one; all other words are references.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A recorded image, NAME[:TAG] or NAME@GENERATION, and where it goes: HOST/REPOSITORY[:TAG]
    #[arg(value_name = "[IMAGE] REFERENCE", required = true)]
    pub(crate) words: Vec<String>,
    /// Where a tag is new, take the blobs of the image under this one to be there; repeatable
    #[arg(long, value_name = "TAG")]
    pub(crate) previous_tag: Vec<String>,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Pushes the image.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let (name, recorded, references) = split(&places, &arguments.words)?;
    let trees = recorded.trees();
    let workshop = Workshop { trees: &trees, places: &places, terminal, threads: None, remembers: true };
    let transports = Transports::new(&places, terminal, &arguments.registries, &references);
    let destinations: Vec<DestinationName> = references.into_iter().map(DestinationName::Registry).collect();
    let config = PushConfig { previous_tags: arguments.previous_tag.clone(), ..PushConfig::default() };
    let opened = transports.destinations(&destinations, &config)?;
    let images: Vec<_> = recorded.images().collect();
    let delivered = workshop.deliver_all(&images, &name, opened);
    for delivered in delivered.map_err(|failure| transports.explain_refusal(failure))? {
        if terminal.is_json() {
            terminal.json(&json!({
                "location": delivered.location, "digest": delivered.manifest.digest, "sent": delivered.written,
            }))?;
        } else {
            let digest = delivered.manifest.digest;
            terminal.note(format!("{}  {digest}  {} sent", delivered.location, size(delivered.written)));
        }
    }
    Ok(())
}

/// Splits words into an image, recorded or by its recipe file, and references.
fn split(places: &Places, words: &[String]) -> Outcome<(ImageName, Recorded, Vec<Reference>)> {
    let first = match words.first() {
        Some(word) if recorded::is_image(places, word)? => Some(word.as_str()),
        _ => None,
    };
    let rest = if first.is_some() { &words[1..] } else { words };
    let (name, recorded) = recorded::find(places, first)?;
    let references = match rest {
        // A name that begins with a registry's host says itself where the image goes.
        [] if name.has_host() => vec![name.reference().clone()],
        [] => {
            let failure = Failure::bad_usage(format!("no registry named for {name}: expected a reference"));
            return Err(failure.hint(format!("such as: floe push {name} registry.example.com/{name}")));
        }
        rest => rest.iter().map(|word| word.parse().map_err(Failure::usage)).collect::<Outcome<_>>()?,
    };
    Ok((name, recorded, references))
}
