//! The record: whether every image in it can still be packed from the store.

use floe_destination::{Record, RepositoryName};

use super::Finding;
use crate::failure::Outcome;
use crate::places::Places;
use crate::recorded::{self, Recorded};

const AREA: &str = "record";

/// Looks at each generation of each name.
pub(super) fn examine(places: &Places) -> Vec<Finding> {
    let mut findings = Vec::new();
    let counted = recorded::open(places).and_then(|record| {
        let mut count = 0;
        for name in record.names()? {
            match generations(places, &record, &name, &mut findings) {
                Ok(sound) => count += sound,
                Err(failure) => findings.push(Finding::of_failure(AREA, &failure)),
            }
        }
        Ok(count)
    });
    match counted {
        Ok(0) if findings.is_empty() => findings.push(Finding::ok(AREA, "no image is recorded")),
        Ok(1) => findings.push(Finding::ok(AREA, "1 recorded image can be packed from the store")),
        Ok(count) => {
            findings.push(Finding::ok(AREA, format!("{count} recorded images can be packed from the store")));
        }
        Err(failure) => findings.push(Finding::of_failure(AREA, &failure)),
    }
    findings
}

/// Looks at a name's generations; returns how many are sound.
fn generations(
    places: &Places,
    record: &Record,
    name: &RepositoryName,
    findings: &mut Vec<Finding>,
) -> Outcome<usize> {
    let mut sound = 0;
    for (number, _) in recorded::history(record, name)?.generations() {
        match recorded::read(record, name, number) {
            Ok(recorded) => match missing(places, &recorded) {
                None => sound += 1,
                Some(path) => findings.push(Finding::problem(
                    AREA,
                    format!("{name}@{number} cannot be packed: {path} is not there any more"),
                    format!("build it again, or forget it: floe remove {name}@{number}"),
                )),
            },
            Err(failure) => findings.push(Finding::of_failure(AREA, &failure)),
        }
    }
    Ok(sound)
}

/// The first store path, plain directory or kept layer of an image that is not there.
fn missing(places: &Places, recorded: &Recorded) -> Option<String> {
    let physical = recorded.store().physical_store();
    let mut lost = recorded.store_paths().filter(|(path, _)| {
        // A store path may be a link that leads nowhere.
        physical.join(path.as_str()).symlink_metadata().is_err()
    });
    let added = recorded.added.values().find(|folder| !folder.exists());
    let mut layers = recorded.kept_layers().map(|digest| places.kept_layers().join(digest.hex()));
    let added = added.cloned().or_else(|| layers.find(|layer| !layer.exists()));
    lost.next().map(|(path, _)| path.to_string()).or_else(|| added.map(|folder| folder.display().to_string()))
}
