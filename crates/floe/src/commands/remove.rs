//! `floe remove`: recorded images are forgotten.

use clap::Args;
use floe_destination::{Record, RecordedName, RepositoryName};
use jiff::Timestamp;
use serde_json::json;

use crate::arguments::Age;
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recorded::{self, Removal};
use crate::terminal::{Terminal, size};

const EXAMPLES: &str = "\
Examples:
  floe remove app:1.0                forget a tag with the generations that only it has had
  floe remove app@3                  forget one generation, which no tag names now
  floe remove --older-than 30d       forget what was built longer ago and no tag names
  floe remove app --keep 3 --dry-run what would go if the latest 3 generations of app stay";

/// Forget recorded images
///
/// What engines and registries hold stays. The images' store paths are no longer kept from Nix's garbage collector.
/// With --older-than or --keep, only generations go that no tag names now: of the names that are given, else of all.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Recorded images, NAME[:TAG] or NAME@GENERATION
    #[arg(value_name = "IMAGE", required_unless_present_any = ["older_than", "keep"])]
    pub(crate) images: Vec<String>,
    /// Forget generations that were built longer ago, such as 30d
    #[arg(long, value_name = "AGE")]
    pub(crate) older_than: Option<Age>,
    /// Let so many of each name's latest generations stay
    #[arg(long, value_name = "NUMBER")]
    pub(crate) keep: Option<usize>,
    /// Only show what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Forgets the images.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let record = recorded::open(&places)?;
    let mut names = arguments.images.iter().map(|name| recorded::parse(name)).collect::<Outcome<Vec<_>>>()?;
    names.sort();
    names.dedup();
    if !record.directory().exists() {
        // Nothing is made in order to be removed from.
        return match names.first() {
            Some(name) => Err(recorded::unknown(&record, name, &Default::default())),
            None => report(arguments, &Removal::default(), 0, terminal),
        };
    }
    let record = record.lock()?;
    let removal = if arguments.older_than.is_some() || arguments.keep.is_some() {
        expired(arguments, &record, names)?
    } else {
        recorded::plan_removal(&record, names)?
    };
    let store_size = removal.store_size(&record)?;
    if !arguments.dry_run {
        recorded::remove(&places, &record, &removal)?;
    }
    report(arguments, &removal, store_size, terminal)
}

/// What is old and not in use.
fn expired(arguments: &Arguments, record: &Record, names: Vec<RecordedName>) -> Outcome<Removal> {
    let before = arguments.older_than.map_or(Timestamp::MAX, Age::ago);
    let mut removal = Removal::default();
    let repositories: Vec<RepositoryName> = match names.as_slice() {
        [] => record.names()?,
        names => names.iter().map(RecordedName::repository).collect(),
    };
    if let Some(generation) = names.iter().find(|name| matches!(name, RecordedName::Generation(..))) {
        let failure = Failure::bad_usage(format!("'{generation}' is one generation: expected a name"));
        return Err(failure.hint(format!("floe remove {generation}, without --older-than and --keep")));
    }
    for (index, repository) in repositories.iter().enumerate() {
        let history = recorded::history(record, repository)?;
        if let (true, Some(name)) = (history.is_empty(), names.get(index)) {
            return Err(recorded::unknown(record, name, &history));
        }
        for number in history.expired(before, arguments.keep.unwrap_or(0)) {
            removal.add_generation(record, repository, number)?;
        }
    }
    Ok(removal)
}

fn report(arguments: &Arguments, removal: &Removal, store_size: u64, terminal: &Terminal) -> Outcome {
    let generations: Vec<String> =
        removal.generations.iter().map(|(name, number)| format!("{name}@{number}")).collect();
    let named: Vec<String> = removal.named.iter().map(ToString::to_string).collect();
    if terminal.is_json() {
        return terminal.json(&json!({
            "removed": named, "generations": generations, "store-size": store_size, "dry-run": arguments.dry_run,
        }));
    }
    let verb = if arguments.dry_run { "would remove" } else { "removed" };
    if removal.is_empty() {
        terminal.note("nothing to remove");
        return Ok(());
    }
    for name in named.iter().filter(|name| !generations.contains(name)) {
        terminal.note(format!("{verb} {name}"));
    }
    if !generations.is_empty() {
        terminal.note(format!("{verb} {}", generations.join(", ")));
    }
    if store_size > 0 {
        terminal.note(format!("{} of the store are kept for no recorded image then", size(store_size)));
    }
    Ok(())
}
