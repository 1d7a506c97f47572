//! An image is recorded: its store paths are kept, its document is written, and its name's history says so.

use floe_destination::{Generation, ImageName, LockedRecord};
use floe_store::gc_root::GcRootError;

use super::{Recorded, Roots, history, open};
use crate::failure::Outcome;
use crate::places::Places;
use crate::terminal::Terminal;

/// Records an image under a name; returns its generation, a new one unless the same image was there.
pub(crate) fn put(
    places: &Places,
    name: &ImageName,
    recorded: &Recorded,
    terminal: &Terminal,
) -> Outcome<Generation> {
    let record = open(places)?.lock()?;
    if !record.is_current()? {
        record.mark_current()?;
    }
    let (number, unkept) = put_locked(places, &record, name, recorded)?;
    for error in unkept {
        // The image is recorded all the same; it can be loaded until Nix collects its paths.
        terminal.warning(format!("not kept from Nix's garbage collector: {:#}", anyhow::Error::new(error)));
    }
    Ok(number)
}

/// Records an image; returns its generation, and why store paths of it cannot be kept. Whatever was written when a
/// run is killed is either the whole, or garbage for `floe gc`.
pub(super) fn put_locked(
    places: &Places,
    record: &LockedRecord,
    name: &ImageName,
    recorded: &Recorded,
) -> Outcome<(Generation, Vec<GcRootError>)> {
    let repository = name.repository();
    let mut history = history(record, &repository)?;
    let (digest, size) = (recorded.digest()?, recorded.compressed_size());
    let number = history.add(name.tag(), digest, size, recorded.recorded);
    let unkept = Roots::of(places, &repository, number).keep(recorded)?;
    record.write(&repository, number, recorded)?;
    record.write_history(&repository, &history)?;
    Ok((number, unkept))
}

/// Lets a tag name another generation: the one that is told, else the one before its last move. Returns it, or
/// `None` when there is no such generation.
pub(crate) fn move_tag(
    record: &LockedRecord,
    name: &ImageName,
    number: Option<Generation>,
) -> Outcome<Option<Generation>> {
    let repository = name.repository();
    let mut history = history(record, &repository)?;
    let to = match number {
        Some(number) => history.move_tag(name.tag(), number).then_some(number),
        None => history.take_back(name.tag()),
    };
    if to.is_some() {
        record.write_history(&repository, &history)?;
    }
    Ok(to)
}
