//! `floe diff`: what changed between two recorded images.

use clap::Args;
use floe_image::difference::{self, Difference, PackageChange, PackageVersions};
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recorded::{self, Recorded};
use crate::terminal::{Column, Table, Terminal, size, size_change};

const EXAMPLES: &str = "\
Examples:
  floe diff app                     what the last build of app changed
  floe diff app@1 app@2             two generations
  floe diff app:1.0 app:1.1         two tags; any two recorded images
  floe diff app --json | jq '.packages[].name'
                                    for machines";

/// Show what changed between two recorded images
///
/// Packages that were added, removed, have another version or were rebuilt; settings and files; and what somebody
/// who has the first must fetch for the second. Sizes of packages are those of their files, that of what is fetched
/// is compressed. Images for several platforms are compared platform by platform.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A recorded image, NAME[:TAG] or NAME@GENERATION, or a recipe file
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// The image it is compared with, which counts as the later one [default: IMAGE itself, and IMAGE's earlier
    /// generation as what was before]
    #[arg(value_name = "OTHER")]
    pub(crate) other: Option<String>,
}

/// Compares the images.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let (_, image) = recorded::find(&places, Some(&arguments.image))?;
    let (before, after) = match &arguments.other {
        Some(other) => (image, recorded::find(&places, Some(other))?.1),
        None => (earlier(&places, &arguments.image)?, image),
    };
    let pairs = before.beside(&after);
    for (index, (before, after)) in pairs.iter().enumerate() {
        let difference = difference::between(before, after);
        let platform = after.config.platform().to_string();
        if terminal.is_json() {
            terminal.json(&json!({
                "platform": platform, "before": difference.before, "after": difference.after,
                "packages": difference.packages, "settings": difference.settings,
                "fetched": difference.fetched, "fetched-size": difference.fetched_size(),
            }))?;
            continue;
        }
        if pairs.len() > 1 {
            terminal.line(format!("{}{platform}", if index > 0 { "\n" } else { "" }))?;
        }
        show(&difference, terminal)?;
    }
    let others = before.images().count().max(after.images().count()) - pairs.len();
    if others > 0 && !terminal.is_json() {
        terminal.note(format!("{others} more platforms are in one of the two alone"));
    }
    Ok(())
}

/// The generation before that of a recorded image, by number.
fn earlier(places: &Places, word: &str) -> Outcome<Recorded> {
    let record = recorded::open(places)?;
    let name = recorded::parse(word)?;
    let (repository, number) = (name.repository(), recorded::resolve(&record, &name)?);
    let earlier = recorded::history(&record, &repository)?.before(number).ok_or_else(|| {
        let first = format!("{repository}@{number}");
        Failure::failed(format!(
            "{first} has no earlier generation: expected a second image to compare it with"
        ))
        .hint(format!("name another image: floe diff {first} OTHER"))
    })?;
    recorded::read(&record, &repository, earlier)
}

fn show(difference: &Difference, terminal: &Terminal) -> Outcome {
    if difference.is_empty() {
        return terminal.line("no difference: both are the same image");
    }
    if !difference.packages.is_empty() {
        let mut table = Table::new([
            Column::Left("PACKAGE"),
            Column::Left("CHANGE"),
            Column::Left("BEFORE"),
            Column::Left("AFTER"),
            Column::Right("SIZE"),
        ]);
        for change in &difference.packages {
            let bytes = |side: &Option<PackageVersions>| side.as_ref().map_or(0, |side| side.nar_size);
            table.row([
                change.name.clone(),
                kind(change).to_owned(),
                versions(change.before.as_ref()),
                versions(change.after.as_ref()),
                size_change(bytes(&change.before), bytes(&change.after)),
            ]);
        }
        terminal.table(&table)?;
    }
    if !difference.settings.is_empty() {
        let mut table = Table::new([Column::Left("SETTING"), Column::Left("BEFORE"), Column::Left("AFTER")]);
        for change in &difference.settings {
            let said = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
            table.row([change.name.clone(), said(&change.before), said(&change.after)]);
        }
        if !difference.packages.is_empty() {
            terminal.line("")?;
        }
        terminal.table(&table)?;
    }
    let Difference { before, after, fetched, .. } = difference;
    terminal.line("")?;
    terminal.line(format!(
        "{} of {} layers are new: {} to fetch; {} in all, {}",
        fetched.len(),
        after.layers,
        size(difference.fetched_size()),
        size(after.compressed_size),
        size_change(before.compressed_size, after.compressed_size),
    ))
}

fn kind(change: &PackageChange) -> &'static str {
    match (&change.before, &change.after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ if change.is_rebuilt() => "rebuilt",
        _ => "version",
    }
}

fn versions(side: Option<&PackageVersions>) -> String {
    side.map_or_else(String::new, |side| Vec::from_iter(side.versions.clone()).join(" "))
}
