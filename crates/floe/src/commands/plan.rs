//! `floe plan`: which store paths share a layer, and why.

use clap::Args;
use floe_image::plan;
use floe_store::StorePath;

use crate::arguments::{Selection, SelectionFlags};
use crate::failure::Outcome;
use crate::gather::{gather, store};
use crate::settings::policy;
use crate::terminal::{Column, Table, Terminal, size};

const EXAMPLES: &str = "\
Examples:
  floe plan .#app                          show the layers of a package's image
  floe plan app --layering popularity      compare with another way of layering
  floe plan app --json | jq '.layers[0]'   the plan for machines";

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
}

/// Shows the plan.
pub(crate) fn run(arguments: Arguments, terminal: &Terminal) -> Outcome {
    let store = store(arguments.selection.store.clone());
    let Selection { options, .. } = arguments.selection.select(&std::env::current_dir()?)?;
    let gathered = gather(&store, &options, options.systems.iter().flatten().next(), terminal)?;
    let plan = plan::plan(&gathered.closure, &policy(&options));
    if terminal.is_json() {
        return terminal.json(&plan);
    }
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
    if arguments.paths {
        for (index, layer) in plan.layers.iter().enumerate() {
            terminal.line(format!("layer {}: {}, {}", index + 1, layer.rule, size(layer.nar_size)))?;
            for path in &layer.paths {
                terminal.line(format!("  {}", gathered.closure.store_dir().full_path(path)))?;
            }
        }
    } else {
        terminal.table(&table)?;
    }
    let (layers, paths) = (plan.layers.len(), gathered.closure.len());
    terminal.note(format!(
        "{layers} layers hold {paths} store paths, {}; one more holds the root's accounts and links",
        size(gathered.closure.nar_size())
    ));
    Ok(())
}
