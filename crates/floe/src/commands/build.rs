//! `floe build`: contents become an image.

use std::num::NonZeroUsize;
use std::time::Instant;

use clap::Args;
use floe_destination::registry::PushConfig;
use floe_destination::{DestinationName, ImageName};
use floe_image::BlobSink;
use floe_image::image::{Image, compose};
use floe_image::layer::Compression;
use floe_store::tree::LocalTrees;
use floe_store::{Store, System};

use crate::arguments::{PreviousFlags, PreviousName, RegistryArguments, Selection, SelectionFlags};
use crate::base::{BaseBlobs, Bases};
use crate::built::Built;
use crate::configuration::ImageOptions;
use crate::copying::check_takes_base;
use crate::earlier::{self, Earlier};
use crate::failure::{Failure, Outcome};
use crate::flake::made_image;
use crate::gather::{Gathered, gather, store};
use crate::hearsay::Hearsay;
use crate::places::Places;
use crate::recorded::{self, OtherPlatform, Recorded};
use crate::settings::{settings, wanted_platform};
use crate::terminal::Terminal;
use crate::transports::{Transports, parse_destinations, references};
use crate::workshop::{Known, Workshop, all_sinks, explain_compose};

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
  floe build .#app --system x86_64-linux --system aarch64-linux --to docker://ghcr.io/team/app:1.0
                                                  an image for each system, joined by an index
  floe build ./public --root ./public             an image of a plain directory, without Nix
  floe build .#app --base docker://debian:12      build upon another image";

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
    /// Refuse where floe.lock would change: where it does not say what the base stands for
    #[arg(long, help_heading = "Work")]
    pub(crate) locked: bool,
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
    pub(crate) update: PreviousFlags,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Builds the image.
pub(crate) fn run(arguments: Arguments, terminal: &Terminal) -> Outcome {
    let started = Instant::now();
    let destinations = parse_destinations(&arguments.to)?;
    let places = Places::find()?;
    let store = store(arguments.selection.store.clone());
    let Selection { entry, configuration, options } =
        arguments.selection.clone().select(&std::env::current_dir()?)?;

    let systems = systems(&options);
    check_takes(&destinations, &systems)?;
    let gather = |system: &Option<System>| gather(&store, &options, system.as_ref(), terminal);
    let gathered = systems.iter().map(gather).collect::<Outcome<Vec<_>>>()?;
    if let Some((name, recorded)) = made_image::find(&places, &gathered, &options, &store, terminal)? {
        return keep_made(&arguments, &places, &name, &recorded, &destinations, terminal, started);
    }
    let name = image_name(entry.as_deref(), &options, &gathered[0])?;
    let trees = all_trees(&store, &gathered);
    let workshop = Workshop {
        trees: &trees,
        places: &places,
        terminal,
        threads: arguments.threads,
        remembers: !arguments.no_memo,
    };
    let named = arguments.update.previous.as_ref();
    let references = references(named.and_then(PreviousName::source), &destinations);
    let transports = Transports::new(&places, terminal, &arguments.registries, references);
    let config = PushConfig { previous_tags: arguments.previous_tag.clone(), ..PushConfig::default() };
    let opened = transports.destinations(&destinations, &config)?;
    let believes = arguments.trust_previous && !arguments.no_memo;
    let hearsay = Hearsay(if believes { &opened } else { &[] });
    let known = Known { recipe: &(), hearsay: &hearsay };
    let earlier = Earlier {
        transports: &transports,
        places: &places,
        name: &name,
        platform: wanted_platform(&options),
    };
    let replaced = match named {
        Some(name) => earlier.images(name)?,
        None if arguments.update.no_previous => Vec::new(),
        None if destinations.is_empty() => earlier.replaced(),
        None => opened.iter().flat_map(|place| place.previous_images()).cloned().collect(),
    };
    let compression = match options.compression {
        Some(compression) => compression,
        None => default_compression(&destinations)?,
    };
    let bases = Bases {
        places: &places,
        terminal,
        registries: &arguments.registries,
        remembers: !arguments.no_memo,
        may_lock: !arguments.locked,
    };
    let make = |gathered: &Gathered, sink: &dyn BlobSink| {
        let previous = earlier::previous(&replaced, gathered, &store);
        let mut settings = settings(&options, gathered, &workshop.memo(), &hearsay, previous)?;
        settings.base = bases.of_image(&options, &settings.platform, configuration.as_deref())?;
        let draft = compose(&gathered.closure, &settings, &gathered.trees).map_err(explain_compose)?;
        for destination in &destinations {
            check_takes_base(destination, &draft.base, terminal)?;
        }
        let places = BaseBlobs::references(&draft.base);
        opened.iter().for_each(|destination| destination.mount_from(&places));
        workshop.assemble(draft, compression, &known, sink)
    };

    if destinations.is_empty() {
        let cache = workshop.cache()?;
        let images = gathered.iter().map(|gathered| make(gathered, &cache)).collect::<Outcome<Vec<_>>>()?;
        let recorded = recorded_of(images, gathered, &store)?;
        let generation = recorded::put(&places, &name, &recorded, terminal)?;
        cache.evict()?;
        let images: Vec<&Image> = recorded.images().collect();
        let built = Built {
            name: &name,
            images: &images,
            replaced: &replaced,
            generation: Some(generation),
            started,
        };
        return built.report(&[], &[], terminal);
    }
    let explain = |failure| transports.explain_refusal(failure);
    let make = |gathered| make(gathered, &all_sinks(&opened)).map_err(explain);
    let images = gathered.iter().map(make).collect::<Outcome<Vec<_>>>()?;
    let images: Vec<&Image> = images.iter().collect();
    let delivered = workshop.finish(&images, &name, opened).map_err(explain)?;
    let built = Built { name: &name, images: &images, replaced: &replaced, generation: None, started };
    built.report(&destinations, &delivered, terminal)
}

/// The systems to make an image for, each once; `None` alone is whatever the contents are for.
fn systems(options: &ImageOptions) -> Vec<Option<System>> {
    let mut systems: Vec<Option<System>> = Vec::new();
    for system in options.systems.iter().flatten().cloned().map(Some) {
        if !systems.contains(&system) {
            systems.push(system);
        }
    }
    if systems.is_empty() { vec![None] } else { systems }
}

/// Refuses places that hold one image where there are to be several.
fn check_takes(destinations: &[DestinationName], systems: &[Option<System>]) -> Outcome {
    let Some(destination) = destinations.iter().find(|destination| !destination.takes_index()) else {
        return Ok(());
    };
    match systems {
        [] | [_] => Ok(()),
        [first, ..] => {
            let message =
                format!("'{destination}' takes one image: expected one system, not {}", systems.len());
            let first = first.as_ref().map(ToString::to_string).unwrap_or_default();
            Err(Failure::bad_usage(message).hint(format!("build it for one: --system {first}")))
        }
    }
}

/// Where the files of all store paths are.
fn all_trees(store: &Store, gathered: &[Gathered]) -> LocalTrees {
    let mut trees = store.trees();
    for (path, location) in gathered.iter().flat_map(|gathered| &gathered.added) {
        trees.add(path.clone(), location.clone());
    }
    trees
}

/// The entry of images that were made from what was gathered for each.
fn recorded_of(images: Vec<Image>, gathered: Vec<Gathered>, store: &Store) -> Outcome<Recorded> {
    let parts = images.into_iter().zip(gathered).map(|(image, gathered)| {
        // Paths that a kept layer carries are nobody's reference: the record alone keeps them.
        let carried = image.store_paths().filter(|path| gathered.closure.info(path).is_none());
        let roots = gathered.closure.roots().iter().chain(carried).cloned().collect();
        OtherPlatform { image, roots, added: gathered.added }
    });
    let mut parts = parts.collect::<Vec<_>>().into_iter();
    let OtherPlatform { image, roots, added } =
        parts.next().ok_or_else(|| Failure::failed("no image was made"))?;
    Ok(Recorded::new(image, roots, added, store).with(parts.collect()))
}

/// Records an image that is made already, or brings it to its destinations.
fn keep_made(
    arguments: &Arguments,
    places: &Places,
    name: &ImageName,
    recorded: &Recorded,
    destinations: &[DestinationName],
    terminal: &Terminal,
    started: Instant,
) -> Outcome {
    let images: Vec<&Image> = recorded.images().collect();
    if destinations.is_empty() {
        let generation = recorded::put(places, name, recorded, terminal)?;
        let built = Built { name, images: &images, replaced: &[], generation: Some(generation), started };
        return built.report(&[], &[], terminal);
    }
    let trees = recorded.trees();
    let threads = arguments.threads;
    let workshop = Workshop { trees: &trees, places, terminal, threads, remembers: !arguments.no_memo };
    let transports = Transports::new(places, terminal, &arguments.registries, references([], destinations));
    let opened = transports.destinations(destinations, &PushConfig::default())?;
    let explain = |failure| transports.explain_refusal(failure);
    let delivered = workshop.deliver_all(&images, name, opened).map_err(explain)?;
    let built = Built { name, images: &images, replaced: &[], generation: None, started };
    built.report(destinations, &delivered, terminal)
}

/// zstd, unless a destination may be read by docker before version 23, which knows gzip alone.
fn default_compression(destinations: &[DestinationName]) -> Outcome<Compression> {
    for destination in destinations {
        if !destination.reads_zstd()? {
            return Ok(Compression::GZIP);
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
