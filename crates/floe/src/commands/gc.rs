//! `floe gc`: what nobody needs any more is removed.

use std::time::SystemTime;

use clap::Args;
use floe_destination::{BlobCache, Stray, abandoned};
use floe_image::layer::{Memo, Unused};
use jiff::Timestamp;
use serde_json::json;

use crate::arguments::Age;
use crate::failure::Outcome;
use crate::places::Places;
use crate::recorded::{self, Garbage};
use crate::terminal::{Column, Table, Terminal, size};
use crate::workshop::CACHE_SIZE;

const EXAMPLES: &str = "\
Examples:
  floe gc --dry-run                      what would go, and how many bytes it is
  floe gc && nix-collect-garbage         make room: here, then in the Nix store
  floe remove --older-than 30d && floe gc
                                         let old generations go first
  floe gc --no-cache                     empty the blob cache, which is filled again as needed";

/// Remove what nobody needs any more
///
/// GC roots of images that are not recorded, memo entries that were not used for long, blobs beyond the cache's bound,
/// and kept layers of bases, and what killed runs left. Recorded images, every generation of them, stay as they are: `floe remove` is for those.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Forget packed layers that were not used for so long
    #[arg(long, value_name = "AGE", default_value = "30d")]
    pub(crate) memo_older_than: Age,
    /// Empty the blob cache
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Only show what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Everything that goes.
struct Found {
    record: Garbage,
    memo: Unused,
    blobs: Vec<Stray>,
    leftovers: Vec<Stray>,
}

/// Looks, and removes unless it is a dry run.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let record = recorded::open(&places)?;
    // Builds write their roots and documents under the same lock, so none is seen half-way.
    let locked = record.directory().exists().then(|| record.lock()).transpose()?;
    let since = SystemTime::from(arguments.memo_older_than.ago().max(Timestamp::UNIX_EPOCH));
    let memo = Memo::open(places.memo());
    let max_size = if arguments.no_cache { 0 } else { CACHE_SIZE };
    let found = Found {
        record: locked
            .as_ref()
            .map(|record| recorded::garbage(&places, record))
            .transpose()?
            .unwrap_or_default(),
        memo: memo.unused(since)?,
        blobs: BlobCache::excess(&places.blobs(), max_size)?,
        leftovers: [places.blobs(), places.spool(), places.kept_layers()]
            .iter()
            .map(|folder| abandoned(folder))
            .collect::<std::io::Result<Vec<_>>>()?
            .concat(),
    };
    if !arguments.dry_run {
        found.record.remove(&places)?;
        memo.prune(since)?;
        if !found.blobs.is_empty() {
            BlobCache::open(&places.blobs(), max_size)?.evict()?;
        }
        for leftover in &found.leftovers {
            leftover.remove()?;
        }
    }
    report(arguments, &found, terminal)
}

fn report(arguments: &Arguments, found: &Found, terminal: &Terminal) -> Outcome {
    let sum = |strays: &[Stray]| (strays.len() as u64, strays.iter().map(|stray| stray.size).sum::<u64>());
    let leftovers = [&found.record.strays[..], &found.leftovers].concat();
    let roots = (found.record.roots.len() as u64, found.record.store_size);
    let rows = [
        ("roots", "GC roots of images that are not recorded, and what they keep of the store", roots),
        ("memo", "remembered layers that were not used", (found.memo.entries, found.memo.size)),
        ("layers", "kept layers of bases that no recorded image is built upon", sum(&found.record.layers)),
        ("blobs", "blobs beyond the cache's bound", sum(&found.blobs)),
        ("leftovers", "leftovers of killed runs", sum(&leftovers)),
    ];
    if terminal.is_json() {
        let counted = rows
            .iter()
            .map(|(key, _, (count, size))| ((*key).to_owned(), json!({ "count": count, "size": size })));
        let mut report = counted.collect::<serde_json::Map<_, _>>();
        report.insert("dry-run".to_owned(), arguments.dry_run.into());
        return terminal.json(&report);
    }
    if rows.iter().all(|(_, _, (count, _))| *count == 0) {
        terminal.note("nothing to remove");
        return Ok(());
    }
    let title = if arguments.dry_run { "WOULD GO" } else { "REMOVED" };
    let mut table = Table::new([Column::Right("COUNT"), Column::Right("SIZE"), Column::Left(title)]);
    for (_, what, (count, bytes)) in rows.into_iter().filter(|(_, _, (count, _))| *count > 0) {
        table.row([count.to_string(), size(bytes), what.to_owned()]);
    }
    terminal.table(&table)?;
    if found.record.store_size > 0 && !arguments.dry_run {
        terminal.note("run nix-collect-garbage to make that room in the store");
    }
    Ok(())
}
