//! A volume, verified: the database, and each path that it calls valid; and repaired from the image where it can be.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use floe_store::write::database::StoreDatabase;
use floe_store::{NarHash, PathInfo, StorePath, nar};

use super::command::SeedSettings;
use super::copy::Copying;
use super::image::Image;
use super::order::{Held, SeedError, clear};
use super::progress::{Progress, Stop};
use super::{marker, volume, workers};

/// What is wrong with one path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: StorePath,
    /// As a sentence's end, such as `is missing`.
    pub(super) fault: String,
    pub(super) repaired: bool,
}

/// Checks every valid path and every path of the image; with `repairs`, brings back those that the image has.
///
/// Findings are sorted by path.
pub(super) fn verify(
    image: &Image,
    settings: &SeedSettings,
    repairs: bool,
    progress: &Progress,
    stop: &Stop,
) -> Result<Vec<Finding>, SeedError> {
    let volume = &settings.volume;
    volume::prepare(volume, &settings.user)?;
    let held = Held::take(settings, stop)?;
    marker::settle_mode(volume, settings.database_mode)?;
    let mut database = StoreDatabase::open(&volume.database(), settings.database_mode, settings.timeout)?;
    database.check()?;
    let valid = database.valid_paths(image.closure.store_dir())?;
    let checked = checked(image, &valid);
    progress.expect(checked.len(), checked.iter().map(|info| info.nar_size).sum());
    clear(&volume.floe("tmp"))?;
    let copying = Copying { image, temporary: volume.floe("tmp"), progress, stop };

    let findings = Mutex::new(Vec::new());
    let infos: Vec<&PathInfo> = checked.iter().collect();
    workers::for_each(settings.threads, &infos, progress, stop, |info| -> Result<(), SeedError> {
        let Some(fault) = fault(settings, info, &valid) else { return Ok(()) };
        let in_image = image.closure.info(&info.path);
        let repaired = repairs && in_image.is_some();
        if let Some(info) = in_image.filter(|_| repairs) {
            let place = volume.location(&info.path);
            let _path = held.patience.hold_path(&place)?;
            copying.replace(info, &place)?;
        }
        let mut findings = findings.lock().unwrap_or_else(PoisonError::into_inner);
        findings.push(Finding { path: info.path.clone(), fault, repaired });
        Ok(())
    })?;
    let mut findings = findings.into_inner().unwrap_or_else(PoisonError::into_inner);
    findings.sort_by(|left, right| left.path.cmp(&right.path));
    let repaired = findings.iter().filter(|finding| finding.repaired);
    let again: Vec<&PathInfo> = repaired.filter_map(|finding| image.closure.info(&finding.path)).collect();
    if !again.is_empty() {
        database.register(image.closure.store_dir(), again, super::order::now())?;
    }
    Ok(findings)
}

/// The image's paths, and those that are valid beside them; of the latter only path and hash are known.
fn checked(image: &Image, valid: &BTreeMap<StorePath, NarHash>) -> Vec<PathInfo> {
    let of_user = valid.iter().filter(|(path, _)| image.closure.info(path).is_none());
    let of_user = of_user.map(|(path, nar_hash)| PathInfo {
        path: path.clone(),
        nar_hash: *nar_hash,
        nar_size: 0,
        references: Default::default(),
        deriver: None,
        content_address: None,
    });
    image.closure.paths().cloned().chain(of_user).collect()
}

/// What is wrong with a path on the volume. A valid path may have other bytes than the image's, where a build is not
/// reproducible: what counts is what the volume registers.
fn fault(settings: &SeedSettings, info: &PathInfo, valid: &BTreeMap<StorePath, NarHash>) -> Option<String> {
    let Some(expected) = valid.get(&info.path) else { return Some("is not registered".to_owned()) };
    let location = settings.volume.location(&info.path);
    if location.symlink_metadata().is_err() {
        return Some("is missing".to_owned());
    }
    match nar::hash_location(&location) {
        Ok((found, _)) if found == *expected => None,
        Ok((found, _)) => Some(format!("has the NAR hash {found}: {expected} is registered")),
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}
