//! `floe remove`: recorded images are forgotten.

use clap::Args;

use crate::failure::Outcome;
use crate::places::Places;
use crate::recorded;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe remove app:1.0    forget an image; Nix may collect its paths again
  floe remove app web    forget several";

/// Forget recorded images
///
/// What engines and registries hold stays. The images' store paths are no longer kept from Nix's garbage collector.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Recorded images, NAME[:TAG]
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
}

/// Forgets the images.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    // All names are looked up first, so that a misspelt one removes nothing.
    let names = arguments
        .images
        .iter()
        .map(|name| recorded::select(&places, Some(name)))
        .collect::<Outcome<Vec<_>>>()?;
    let known = recorded::list(&places)?;
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(recorded::unknown(&places, unknown));
    }
    for name in &names {
        recorded::remove(&places, name)?;
        terminal.note(format!("removed {name}"));
    }
    Ok(())
}
