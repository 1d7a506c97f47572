//! `floe build`: contents become an image.

use std::num::NonZeroUsize;
use std::time::Instant;

use clap::Args;
use floe_destination::registry::PushConfig;
use floe_destination::{Delivered, DestinationName, Generation, ImageName};
use floe_image::image::{Image, compose};
use floe_image::layer::Compression;
use serde_json::json;

use crate::arguments::{RegistryArguments, Selection, SelectionFlags};
use crate::configuration::ImageOptions;
use crate::doors::{Doors, parse_destinations, references};
use crate::failure::{Failure, Outcome};
use crate::gather::{Gathered, gather, store};
use crate::hearsay::Hearsay;
use crate::places::Places;
use crate::recorded::{self, Recorded};
use crate::settings::settings;
use crate::terminal::{self, Terminal, duration};
use crate::workshop::{Known, Workshop, all_sinks};

const EXAMPLES: &str = "\
Examples:
  floe build ./result                             record an image of the closure of ./result
  floe build                                      build the only image of floe.toml
  floe build app --tag 1.1                        build [image.app], with another tag
  floe build .#app --to oci:images/app:1.0        write an OCI layout
  floe build .#app --to docker-archive:app.tar --to podman:
                                                  write a file, and load it into podman
  floe build .#app --entrypoint /bin/app --cmd --port --cmd 3000 --port 3000
                                                  say what is run and where it listens
  floe build ./public --root ./public             an image of a plain directory, without Nix";

/// Make an image, and record it or send it somewhere
///
/// The first word is an entry of floe.toml if it names one; all other words are contents: store paths, links to
/// them, flake installables, or plain directories. Contents that are named here take the place of the entry's.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) selection: SelectionFlags,
    /// Where the image goes; repeatable [default: floe's own record]
    ///
    /// oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, - (standard output), podman:, docker:, containerd:
    #[arg(long, value_name = "DESTINATION", help_heading = "Destination")]
    pub(crate) to: Vec<String>,
    /// Use so many threads [default: one for each processor]
    #[arg(long, value_name = "NUMBER", help_heading = "Work")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Pack every layer anew, believe nobody's word of one, and remember none
    #[arg(long, help_heading = "Work")]
    pub(crate) no_memo: bool,
    /// Believe what the image that a registry's tag names says of its layers, so that what did not change is neither
    /// read nor packed
    #[arg(
        long, value_name = "BOOL", default_value = "true", default_missing_value = "true", num_args = 0..=1,
        require_equals = true, help_heading = "Work"
    )]
    pub(crate) trust_previous: bool,
    /// Where a registry's tag is new, look at the image under this one instead; repeatable, the first that exists counts
    #[arg(long, value_name = "TAG", help_heading = "Work")]
    pub(crate) previous_tag: Vec<String>,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Builds the image.
pub(crate) fn run(arguments: Arguments, terminal: &Terminal) -> Outcome {
    let started = Instant::now();
    let destinations = parse_destinations(&arguments.to)?;
    let places = Places::find()?;
    let store = store(arguments.selection.store.clone());
    let Selection { entry, options } = arguments.selection.select(&std::env::current_dir()?)?;

    let gathered = gather(&store, &options, terminal)?;
    let name = image_name(entry.as_deref(), &options, &gathered)?;
    let workshop = Workshop {
        trees: &gathered.trees,
        places: &places,
        terminal,
        threads: arguments.threads,
        remembers: !arguments.no_memo,
    };
    let doors = Doors::new(&places, terminal, &arguments.registries, references([], &destinations));
    let config = PushConfig { previous_tags: arguments.previous_tag.clone(), ..PushConfig::default() };
    let opened = doors.destinations(&destinations, &config)?;
    let believes = arguments.trust_previous && !arguments.no_memo;
    let hearsay = Hearsay(if believes { &opened } else { &[] });
    let known = Known { recipe: &(), hearsay: &hearsay };
    let settings = settings(&options, &gathered, &workshop.memo(), &hearsay)?;
    let draft = compose(&gathered.closure, &settings, &gathered.trees)?;
    let compression = match options.compression {
        Some(compression) => compression,
        None => default_compression(&destinations)?,
    };

    if destinations.is_empty() {
        let cache = workshop.cache()?;
        let image = workshop.assemble(draft, compression, &known, &cache)?;
        let roots = gathered.closure.roots().to_vec();
        let recorded = Recorded::new(image, roots, gathered.added, &store);
        let generation = recorded::put(&places, &name, &recorded, terminal)?;
        cache.evict()?;
        return report(terminal, &name, &recorded.image, Some(generation), &[], &[], started);
    }
    let explain = |failure| doors.explain_refusal(failure);
    let image = workshop.assemble(draft, compression, &known, &all_sinks(&opened)).map_err(explain)?;
    let delivered = workshop.finish(&image, &name, opened).map_err(explain)?;
    report(terminal, &name, &image, None, &destinations, &delivered, started)
}

/// zstd, unless a destination may be read by docker before version 23, which knows gzip alone.
fn default_compression(destinations: &[DestinationName]) -> Outcome<Compression> {
    for destination in destinations {
        if !destination.reads_zstd()? {
            return Ok(Compression::Gzip(6));
        }
    }
    Ok(Compression::default())
}

/// The name asked for, else the entry's, else that of the first content's package.
pub(super) fn image_name(
    entry: Option<&str>,
    options: &ImageOptions,
    gathered: &Gathered,
) -> Outcome<ImageName> {
    let name = match (&options.name, entry) {
        (Some(name), _) => name.clone(),
        (None, Some(entry)) => entry.to_owned(),
        (None, None) => {
            let package = gathered.closure.roots().first().map_or("image", |root| root.package().name);
            package.to_lowercase()
        }
    };
    let tag = options.tag.as_deref().unwrap_or("latest");
    let parsed = format!("{name}:{tag}").parse();
    parsed.map_err(|error| Failure::usage(error).hint("name the image with --name, and its tag with --tag"))
}

/// Says what was made, and where it is.
fn report(
    terminal: &Terminal,
    name: &ImageName,
    image: &Image,
    generation: Option<Generation>,
    destinations: &[DestinationName],
    delivered: &[Delivered],
    started: Instant,
) -> Outcome {
    let (digest, size) = (image.digest(), image.compressed_size());
    if terminal.is_json() {
        let places: Vec<_> = delivered
            .iter()
            .map(|place| json!({ "location": place.location, "digest": place.manifest.digest, "written": place.written }))
            .collect();
        let result = json!({
            "name": name.to_string(), "digest": digest, "size": size, "layers": image.layer_count(),
            "generation": generation, "platform": image.config.platform().to_string(), "delivered": places,
        });
        // Where standard output carries the image itself, the result goes beside the events.
        if destinations.iter().any(|place| matches!(place, DestinationName::StandardOutput(_))) {
            terminal.event(&result);
            return Ok(());
        }
        return terminal.json(&result);
    }
    let took = duration(started.elapsed());
    let layers = image.layer_count();
    terminal.note(format!("{name}  {} in {layers} layers, {took}", terminal::size(size)));
    terminal.note(digest);
    if let Some(generation) = generation {
        let repository = name.repository();
        terminal.note(format!("recorded as {repository}@{generation}; run it with: floe run {name}"));
    }
    for place in delivered {
        terminal.note(format!("{}  {} written", place.location, terminal::size(place.written)));
    }
    Ok(())
}
