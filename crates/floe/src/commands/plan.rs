//! `floe plan`: which store paths share a layer, and why; and how often packages change, learned.

use std::path::{Path, PathBuf};

use clap::Args;
use floe_destination::ParseSourceError;
use floe_image::plan::{self, Plan, PlannedLayer};
use floe_store::StorePath;

use crate::arguments::{PreviousFlags, PreviousName, RegistryArguments, Selection, SelectionFlags};
use crate::commands::build::image_name;
use crate::earlier::{self, Earlier};
use crate::failure::{Failure, Outcome};
use crate::gather::{Gathered, gather, store};
use crate::transports::{Transports, references};

use crate::places::Places;
use crate::settings::{policy, wanted_platform};
use crate::terminal::{Column, Table, Terminal, size};

const EXAMPLES: &str = "\
Examples:
  floe plan .#app                          show the layers of a package's image
  floe plan app --previous docker://ghcr.io/team/app:1.0
                                           show what an update of this image would send
  floe plan app --layering popularity      compare with another way of layering
  floe plan app --json | jq '.layers[0]'   the plan for machines
  floe plan --learn floe.frequencies app:1.0 app:1.1 app:1.2
                                           learn from images how often packages change";

/// Show the layers that an image would have
///
/// Nothing is packed. Each line is a layer, bottom first: how many store paths, their size, and the rule that put
/// them there.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) selection: SelectionFlags,
    /// List the store paths of each layer
    #[arg(long, help_heading = "Plan")]
    pub(crate) paths: bool,
    #[command(flatten)]
    pub(crate) update: PreviousFlags,
    /// Learn how often packages change from images that the words name, oldest first, and write it to this file
    #[arg(long, value_name = "FILE", help_heading = "Update", conflicts_with_all = ["previous", "no_previous", "paths"])]
    pub(crate) learn: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Shows the plan, or learns.
pub(crate) fn run(arguments: Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    if let Some(file) = &arguments.learn {
        let words = arguments.selection.into_words();
        return learn(file, &words, &places, &arguments.registries, terminal);
    }
    let store = store(arguments.selection.store.clone());
    let Selection { entry, options, .. } = arguments.selection.select(&std::env::current_dir()?)?;
    let gathered = gather(&store, &options, options.systems.iter().flatten().next(), terminal)?;
    let name = image_name(entry.as_deref(), &options, &gathered)?;
    let named = arguments.update.previous.as_ref();
    let transports = Transports::new(
        &places,
        terminal,
        &arguments.registries,
        references(named.and_then(PreviousName::source), []),
    );
    let earlier = Earlier {
        transports: &transports,
        places: &places,
        name: &name,
        platform: wanted_platform(&options),
    };
    let images = match named {
        Some(name) => earlier.images(name)?,
        None if arguments.update.no_previous => Vec::new(),
        None => earlier.replaced(),
    };
    let previous = earlier::previous(&images, &gathered, &store);
    let plan = plan::plan(&gathered.closure, &policy(&options, previous)?);
    if terminal.is_json() {
        return terminal.json(&plan);
    }
    if arguments.paths {
        list(&plan, &gathered, terminal)?;
    } else {
        terminal.table(&table(&plan))?;
    }
    summarise(&plan, &gathered, terminal);
    Ok(())
}

fn table(plan: &Plan) -> Table {
    let mut table = Table::new([
        Column::Right("LAYER"),
        Column::Right("PATHS"),
        Column::Right("SIZE"),
        Column::Left("RULE"),
        Column::Left("HOLDS"),
    ]);
    for (index, layer) in plan.layers.iter().enumerate() {
        let names: Vec<&str> = layer.paths.iter().map(StorePath::name).collect();
        table.row([
            (index + 1).to_string(),
            layer.paths.len().to_string(),
            size(layer.nar_size),
            layer.rule.to_string(),
            names.join(" "),
        ]);
    }
    table
}

fn list(plan: &Plan, gathered: &Gathered, terminal: &Terminal) -> Outcome {
    let store_dir = gathered.closure.store_dir();
    for (index, layer) in plan.layers.iter().enumerate() {
        terminal.line(format!("layer {}: {}, {}", index + 1, layer.rule, size(layer.nar_size)))?;
        for path in &layer.paths {
            terminal.line(format!("  {}", store_dir.full_path(path)))?;
        }
        for path in layer.kept.iter().flat_map(|kept| &kept.carried) {
            terminal.line(format!("  {} (no longer needed)", store_dir.full_path(path)))?;
        }
    }
    Ok(())
}

fn summarise(plan: &Plan, gathered: &Gathered, terminal: &Terminal) {
    let (layers, paths) = (plan.layers.len(), gathered.closure.len());
    terminal.note(format!(
        "{layers} layers hold {paths} store paths, {}; one more holds the root's accounts and links",
        size(gathered.closure.nar_size())
    ));
    let new: Vec<&PlannedLayer> = plan.layers.iter().filter(|layer| layer.kept.is_none()).collect();
    if new.len() < layers {
        let nar_size = new.iter().map(|layer| layer.nar_size).sum();
        let kept = layers - new.len();
        terminal.note(format!(
            "{kept} are the previous image's, {} are new: {} before compression",
            new.len(),
            size(nar_size)
        ));
    }
}

fn learn(
    file: &Path,
    words: &[String],
    places: &Places,
    registries: &RegistryArguments,
    terminal: &Terminal,
) -> Outcome {
    let parse = |word: &String| {
        word.parse::<PreviousName>().map_err(|error: ParseSourceError| {
            Failure::usage(error)
                .hint("name recorded images, docker://REF, or plans that floe plan --json wrote")
        })
    };
    let names = words.iter().map(parse).collect::<Outcome<Vec<_>>>()?;
    if names.len() < 2 {
        let failure =
            Failure::bad_usage(format!("{} images to learn from: expected at least 2", names.len()));
        return Err(failure.hint("such as: floe plan --learn floe.frequencies app:1.0 app:1.1"));
    }
    let unnamed = "image:latest".parse()?;
    let platform = wanted_platform(&Default::default());
    let transports = Transports::new(
        places,
        terminal,
        registries,
        references(names.iter().filter_map(PreviousName::source), []),
    );
    let learned =
        earlier::learn(&Earlier { transports: &transports, places, name: &unnamed, platform }, &names)?;
    std::fs::write(file, learned.to_string()).map_err(|error| {
        Failure::from(anyhow::Error::new(error).context(format!("cannot write {}", file.display())))
    })?;
    let steps = match learned.steps() {
        1 => "1 step".to_owned(),
        steps => format!("{steps} steps"),
    };
    terminal.note(format!("{}: learned from {steps}", file.display()));
    terminal.note(format!(
        "use it with --frequencies {0}, or in floe.toml: frequencies = \"{0}\"",
        file.display()
    ));
    Ok(())
}
