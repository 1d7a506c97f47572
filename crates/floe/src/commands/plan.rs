//! `floe plan`: which store paths share a layer, and why.

use clap::Args;

use crate::arguments::SelectionFlags;
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

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
pub(crate) fn run(arguments: Arguments, _terminal: &Terminal) -> Outcome {
    let _selection = arguments.selection.select(&std::env::current_dir()?)?;
    Err(Failure::failed("layers cannot be planned yet"))
}
