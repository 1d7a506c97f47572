//! What floe remembers on a volume: the registrations that it was seeded from, and how its database is written.
//!
//! The marker is written last and proves nothing: a start looks at every path again. It tells the main container,
//! which does not seed, that an init step did.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use floe_store::write::database::{self, JournalMode};

use super::volume::Volume;

/// The file of registrations, one digest a line.
const MARKER: &str = "seeded";

/// The file that holds the database's mode.
const DATABASE_MODE: &str = "database-mode";

/// Why the database of a volume cannot be used as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseModeError {
    /// The database was written in the other mode; locks of the two do not see each other.
    #[error("the volume's database is used in mode {used}, and this start asks for mode {asked}")]
    Other {
        /// What is on the volume.
        used: &'static str,
        /// What was asked for.
        asked: &'static str,
    },
    /// The record cannot be read or written.
    #[error("cannot use the record of the volume's database mode")]
    Record(#[source] io::Error),
}

/// How a mode is called in settings and on the volume.
pub(super) fn mode_name(mode: JournalMode) -> &'static str {
    match mode {
        JournalMode::Wal => "wal",
        JournalMode::Truncate => "truncate",
    }
}

/// The mode with a name.
pub(super) fn parse_mode(name: &str) -> Option<JournalMode> {
    [JournalMode::Wal, JournalMode::Truncate].into_iter().find(|mode| mode_name(*mode) == name)
}

/// Refuses another mode than the volume's, and records the mode of a volume that has none.
///
/// A volume without a record, filled by Nix or by hand, is asked itself: its database has a log or has not.
pub(super) fn settle_mode(volume: &Volume, asked: JournalMode) -> Result<(), DatabaseModeError> {
    let record = volume.floe(DATABASE_MODE);
    let recorded = match std::fs::read_to_string(&record) {
        Ok(text) => parse_mode(text.trim()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(DatabaseModeError::Record(error)),
    };
    let has_log = || database::has_log(&volume.database()).map_err(DatabaseModeError::Record);
    let used = match recorded {
        Some(mode) => Some(mode),
        None => has_log()?.map(|log| if log { JournalMode::Wal } else { JournalMode::Truncate }),
    };
    match used {
        Some(used) if used != asked => {
            Err(DatabaseModeError::Other { used: mode_name(used), asked: mode_name(asked) })
        }
        _ if recorded.is_some() => Ok(()),
        _ => replace(&record, mode_name(asked).as_bytes()).map_err(DatabaseModeError::Record),
    }
}

/// Adds a registration to the marker.
pub(super) fn mark(volume: &Volume, digest: &str) -> io::Result<()> {
    let marker = volume.floe(MARKER);
    let mut digests = read(&marker)?;
    if digests.lines().any(|line| line == digest) {
        return Ok(());
    }
    digests.push_str(digest);
    digests.push('\n');
    replace(&marker, digests.as_bytes())
}

/// Whether a volume was seeded from the registration with this digest.
pub(crate) fn is_marked(volume: &Volume, digest: &str) -> io::Result<bool> {
    Ok(read(&volume.floe(MARKER))?.lines().any(|line| line == digest))
}

fn read(marker: &Path) -> io::Result<String> {
    match std::fs::read_to_string(marker) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

/// Writes a small file in one step, and through to the disk.
pub(super) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let mut options = std::fs::OpenOptions::new();
    let mut new = options.write(true).create(true).truncate(true).mode(0o644).open(&name)?;
    io::Write::write_all(&mut new, content)?;
    new.sync_all()?;
    std::fs::rename(&name, file)
}
