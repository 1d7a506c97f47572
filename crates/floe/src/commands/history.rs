//! `floe history`: the generations of a name.

use clap::Args;
use floe_destination::Generation;
use floe_image::difference::{self, Difference};
use serde_json::json;

use crate::failure::Outcome;
use crate::places::Places;
use crate::recorded::{self, Recorded};
use crate::terminal::{Column, Table, Terminal, size};

const EXAMPLES: &str = "\
Examples:
  floe history app                  every image that was built as app, the latest first
  floe diff app@1 app@2             what changed between two of them
  floe run app@1                    run an earlier one
  floe history app --json | jq -r '.digest'
                                    for machines: a line of JSON each";

/// List the generations of a recorded image
///
/// Each build of a name that gives another image adds a generation, which is called NAME@NUMBER. Tags that move on
/// keep what they named.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A name of recorded images, with or without a tag
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Lists the generations.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let record = recorded::open(&places)?;
    let name = recorded::parse(&arguments.name)?;
    let repository = name.repository();
    let history = recorded::history(&record, &repository)?;
    if history.is_empty() {
        return Err(recorded::unknown(&record, &name, &history));
    }
    let mut table = Table::new([
        Column::Right("GENERATION"),
        Column::Left("TAGS"),
        Column::Left("DIGEST"),
        Column::Right("SIZE"),
        Column::Left("BUILT"),
        Column::Left("CHANGES"),
    ]);
    let mut after = None;
    let numbers: Vec<Generation> = history.generations().map(|(number, _)| number).collect();
    let mut rows = Vec::new();
    // From the first on, so that each recipe is read once.
    for number in numbers {
        let recorded = recorded::read(&record, &repository, number);
        let changes = changes(after.as_ref(), &recorded);
        rows.push((number, changes));
        after = Some(recorded);
    }
    for (number, changes) in rows.into_iter().rev() {
        let Some(entry) = history.generation(number) else { continue };
        let tags = history.tags_of(number);
        if terminal.is_json() {
            terminal.json(&json!({
                "generation": number, "tags": tags, "digest": entry.digest, "size": entry.compressed_size,
                "recorded": entry.recorded, "changes": changes,
            }))?;
            continue;
        }
        table.row([
            number.to_string(),
            tags.join(" "),
            entry.digest.short(),
            size(entry.compressed_size),
            entry.recorded.strftime("%Y-%m-%d %H:%M").to_string(),
            changes,
        ]);
    }
    if terminal.is_json() { Ok(()) } else { terminal.table(&table) }
}

/// What changed since the generation before, in a few words.
fn changes(before: Option<&Outcome<Recorded>>, after: &Outcome<Recorded>) -> String {
    match (before, after) {
        (None, Ok(_)) => "first".to_owned(),
        (Some(Ok(before)), Ok(after)) => {
            let pairs = before.beside(after);
            let differences = pairs.into_iter().map(|(before, after)| difference::between(before, after));
            // Several platforms change alike; the first that changed speaks for them.
            let changed = differences.into_iter().find(|difference| !difference.is_empty());
            changed.map_or_else(|| "other platforms".to_owned(), |difference| summary(&difference))
        }
        // The table of the others is worth more than a failure; reading this one tells why.
        (_, Err(_)) => "cannot be read".to_owned(),
        (Some(Err(_)), Ok(_)) => String::new(),
    }
}

/// A difference in a few words: what has a new version by name while there are few, the rest in numbers.
fn summary(difference: &Difference) -> String {
    /// Packages that are named; more would hide the numbers behind them.
    const NAMED: usize = 2;

    let changes = &difference.packages;
    let versions: Vec<String> = changes
        .iter()
        .filter(|change| !change.is_rebuilt())
        .filter_map(|change| {
            let (before, after) = (change.before.as_ref()?, change.after.as_ref()?);
            let [before, after] = [before, after].map(|side| Vec::from_iter(side.versions.clone()).join(" "));
            Some(format!("{} {before} → {after}", change.name))
        })
        .collect();
    let mut parts = versions;
    if parts.len() > NAMED {
        let others = parts.len() - NAMED;
        parts.truncate(NAMED);
        parts.push(format!("{others} more versions"));
    }
    let count =
        |matches: &dyn Fn(&&difference::PackageChange) -> bool| changes.iter().filter(matches).count();
    for (number, what) in [
        (count(&|change| change.before.is_none()), "added"),
        (count(&|change| change.after.is_none()), "removed"),
        (count(&|change| change.is_rebuilt()), "rebuilt"),
        (difference.settings.len(), if difference.settings.len() == 1 { "setting" } else { "settings" }),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    parts.push(format!("{} to fetch", size(difference.fetched_size())));
    parts.join(", ")
}
