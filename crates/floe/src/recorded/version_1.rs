//! A record of the first form is written again: each of its documents becomes a generation.

use std::fs;

use floe_destination::{ImageName, LockedRecord};

use super::put::put_locked;
use super::{Recorded, Roots};
use crate::failure::Outcome;
use crate::places::Places;

/// Writes the record in today's form. It can be killed at any moment: what was done already is found done.
pub(super) fn migrate(places: &Places, record: &LockedRecord) -> Outcome {
    let mut old = Vec::new();
    for document in record.version_1()? {
        match document.read::<Recorded>() {
            Ok(Some(recorded)) if recorded.check_version("an image").is_ok() => {
                old.push((document, recorded))
            }
            // It could not be used before either. It stays until `floe gc`, as something that no history names.
            Ok(_) | Err(_) => {}
        }
    }
    // Numbered as they were built.
    old.sort_by_key(|(_, recorded)| recorded.recorded);
    for (document, recorded) in &old {
        // What cannot be kept now could not be before: its builds said so.
        put_locked(places, record, &document.name, recorded)?;
        document.remove()?;
        remove_roots(places, &document.name, recorded)?;
    }
    Ok(record.mark_current()?)
}

/// Removes the roots that the first form had, which today's have replaced.
fn remove_roots(places: &Places, name: &ImageName, recorded: &Recorded) -> Outcome {
    let folder = places.roots().join(name.to_string().replace(['/', ':'], "_"));
    if folder.is_dir() {
        Roots::at(folder.clone()).drop_others(&recorded.store(), &[])?;
        // Two names could share a folder in the first form; the last one finds it gone.
        if let Err(error) = fs::remove_dir(&folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error.into());
        }
    }
    Ok(())
}
