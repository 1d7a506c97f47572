//! The order of work of a seed. Each step is safe to repeat after a kill at any point:
//!
//! 1. refuse another user's store; make the directories;
//! 2. locks: the seeder's, then Nix's for garbage collection and for the schema, shared: while they are held nothing
//!    is collected;
//! 3. room, in bytes and inodes;
//! 4. each path that is not valid *and* present: copied beside the store, its NAR hash checked, renamed into it;
//! 5. one `syncfs`;
//! 6. garbage collector roots;
//! 7. one transaction that registers what was copied, and deletes no row;
//! 8. the default profile; the marker last.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use floe_store::write::database::{SCHEMA_VERSION, StoreDatabase, WriteDatabaseError};
use floe_store::{NarHash, PathInfo, StorePath};
use rustix::fs::syncfs;

use super::command::SeedSettings;
use super::copy::{CopyError, Copying};
use super::image::Image;
use super::locks::{Lock, LockError, Patience, Share};
use super::marker::{self, DatabaseModeError};
use super::profile::{self, LinkError};
use super::progress::{Progress, Stop};
use super::room::{self, RoomError};
use super::volume::{self, VolumeError};
use super::{node, workers};
use crate::terminal::say;

/// What a seed did.
pub(super) struct Seeded {
    /// Paths that were copied.
    pub(super) copied: usize,
    /// Bytes of their NARs.
    pub(super) copied_bytes: u64,
    /// Paths that were there.
    pub(super) present: usize,
}

/// Why a volume was not seeded. What was done until then stays, and the next start goes on from there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeedError {
    /// The volume cannot be used.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A lock could not be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The volume's database is used in another mode.
    #[error(transparent)]
    DatabaseMode(#[from] DatabaseModeError),
    /// There is not enough room; nothing was copied.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// A path could not be copied; nothing was registered.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The database could not be opened or written.
    #[error(transparent)]
    Database(#[from] WriteDatabaseError),
    /// A root or the profile could not be made.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A small file or directory of the volume cannot be used.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Seeds the volume from the image.
pub(super) fn seed(
    image: &Image,
    settings: &SeedSettings,
    progress: &Progress,
    stop: &Stop,
) -> Result<Seeded, SeedError> {
    let volume = &settings.volume;
    volume::prepare(volume, &settings.user)?;
    if settings.makes_home {
        volume::prepare_home(volume, &settings.user)?;
    }
    let held = Held::take(settings, stop)?;
    marker::settle_mode(volume, settings.database_mode)?;
    let mut database = StoreDatabase::open(&volume.database(), settings.database_mode, settings.timeout)?;
    write_schema(settings)?;
    let valid = database.valid_paths(image.closure.store_dir())?;
    let missing = missing(image, settings, &valid);
    let copied_bytes = missing.iter().map(|info| info.nar_size).sum();
    progress.expect(missing.len(), copied_bytes);

    if !missing.is_empty() {
        room::check(&volume.nix, &image.trees, &missing)?;
        copy(image, settings, &missing, progress, stop)?;
    }
    profile::root(volume, &image.closure, &image.digest)?;
    if !missing.is_empty() {
        database.register(image.closure.store_dir(), missing.iter().copied(), now())?;
    }
    if let Some(path) = &image.default_profile {
        let _profile = held.patience.hold_path(&profile::default_location(volume))?;
        profile::switch(volume, &image.closure, path)?;
    }
    let unmarked = |source| SeedError::File { path: volume.floe(""), source };
    marker::mark(volume, &image.digest).map_err(unmarked)?;
    room::keep_ballast(&volume.floe("ballast"), settings.ballast);
    Ok(Seeded { copied: missing.len(), copied_bytes, present: image.closure.len() - missing.len() })
}

/// The locks that a seed holds from beginning to end, and how it waits for more.
pub(super) struct Held<'a> {
    pub(super) patience: Patience<'a>,
    _seeder: Lock,
    _collector: Lock,
    _schema: Lock,
}

impl<'a> Held<'a> {
    pub(super) fn take(settings: &SeedSettings, stop: &'a Stop) -> Result<Self, LockError> {
        let waiting: &(dyn Fn(&str) + Sync) = &|holder| say(&format!("waiting for {holder}"));
        let patience = Patience { timeout: settings.timeout, stop, waiting };
        let volume = &settings.volume;
        let seeder = patience.hold(&volume.floe("seed.lock"), Share::Exclusive, "another seeder")?;
        let collector =
            patience.hold(&volume.state("gc.lock"), Share::Shared, "a running garbage collection")?;
        let schema =
            patience.hold(&volume.state("db/big-lock"), Share::Shared, "a Nix that opens the store")?;
        Ok(Self { patience, _seeder: seeder, _collector: collector, _schema: schema })
    }
}

/// The paths that are not valid, or valid and not there.
fn missing<'image>(
    image: &'image Image,
    settings: &SeedSettings,
    valid: &BTreeMap<StorePath, NarHash>,
) -> Vec<&'image PathInfo> {
    let is_there = |path: &StorePath| settings.volume.location(path).symlink_metadata().is_ok();
    let is_done = |info: &&PathInfo| valid.contains_key(&info.path) && is_there(&info.path);
    image.closure.paths().filter(|info| !is_done(info)).collect()
}

fn copy(
    image: &Image,
    settings: &SeedSettings,
    missing: &[&PathInfo],
    progress: &Progress,
    stop: &Stop,
) -> Result<(), SeedError> {
    let volume = &settings.volume;
    let temporary = volume.floe("tmp");
    clear(&temporary)?;
    let copying = Copying { image, temporary, progress, stop };
    let patience = Patience { timeout: settings.timeout, stop, waiting: &|_| {} };
    workers::for_each(settings.threads, missing, progress, stop, |info| {
        let place = volume.location(&info.path);
        let _path = patience.hold_path(&place)?;
        copying.bring(info, &place).map_err(SeedError::from)
    })?;
    if stop.is_asked() {
        return Err(CopyError::Stopped.into());
    }
    let store = volume.store();
    std::fs::File::open(&store)
        .and_then(|directory| Ok(syncfs(&directory)?))
        .map_err(|source| SeedError::File { path: store, source })
}

/// Removes what a killed run left in the temporary directory, which nobody else uses while the lock is held.
pub(super) fn clear(temporary: &std::path::Path) -> Result<(), SeedError> {
    let clear = || {
        for entry in temporary.read_dir()? {
            node::remove(&entry?.path())?;
        }
        Ok(())
    };
    clear().map_err(|source| SeedError::File { path: temporary.to_owned(), source })
}

/// Writes the schema's number after the database is there: a Nix that finds the number alone does not start.
fn write_schema(settings: &SeedSettings) -> Result<(), SeedError> {
    let path = settings.volume.state("db/schema");
    if path.exists() {
        return Ok(());
    }
    marker::replace(&path, SCHEMA_VERSION.as_bytes()).map_err(|source| SeedError::File { path, source })
}

/// Seconds since 1970, as Nix stamps registrations.
pub(super) fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or_default()
}
