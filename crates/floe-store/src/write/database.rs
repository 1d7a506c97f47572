//! Nix's database, written: as the bytes of a new file for an image, or into the file of a store that is in use.
//!
//! An image's database is made in memory, in one order (paths sorted by base name, then references), with one page
//! size and one registration time, and with the SQLite that this crate brings; so its bytes are a function of the
//! path infos. A store in use is changed in one transaction that only adds and corrects rows.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::schema;
use crate::{NarHash, PathInfo, StoreDir, StorePath};

/// The content of the file `schema` beside the database.
pub const SCHEMA_VERSION: &str = schema::VERSION;

/// When paths of an image were registered, in seconds since 1970: the time stamp that Nix gives files of the store.
pub const IMAGE_REGISTRATION_TIME: i64 = 1;

/// Bytes of a page; SQLite's default since 3.12, said here so that no build option changes an image's digest.
const PAGE_SIZE: u32 = 4096;

/// Where SQLite's header says how a file is written and read: 1 is a rollback journal, 2 a write-ahead log
/// (SQLite, "Database File Format", section 1.3).
const HEADER_FORMAT: std::ops::Range<usize> = 18..20;

/// The two bytes at [`HEADER_FORMAT`] of a database with a rollback journal.
const ROLLBACK: [u8; 2] = [1, 1];

/// The schema's name of the database itself.
const MAIN: &str = "main";

/// How a store's database survives a crash; what Nix calls `use-sqlite-wal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalMode {
    /// A write-ahead log, Nix's default. All who open the database must run on one machine.
    Wal,
    /// A rollback journal and locks that are directories, as Nix uses with `use-sqlite-wal = false`; for
    /// file systems that several machines share.
    Truncate,
}

/// Why a database could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteDatabaseError {
    /// The file cannot be opened or made.
    #[error("cannot open {}", database.display())]
    Open {
        /// The database's file.
        database: PathBuf,
        /// SQLite's reason.
        #[source]
        source: rusqlite::Error,
    },
    /// A statement failed; nothing of its transaction is in the database.
    #[error("cannot write Nix's database")]
    Query(#[source] rusqlite::Error),
    /// A base's database cannot be taken over.
    #[error("the base's database is damaged or is none: expected SQLite's file format")]
    NotADatabase {
        /// SQLite's reason, where it had one.
        #[source]
        source: Option<rusqlite::Error>,
    },
    /// A NAR's size does not fit the database.
    #[error("the NAR of {path} has {nar_size} bytes: expected less than 2^63")]
    NarTooLarge {
        /// The path.
        path: StorePath,
        /// The size that was given.
        nar_size: u64,
    },
    /// A path refers to one that is neither given nor registered; Nix would find a dangling reference.
    #[error("{referrer} refers to {reference}, which is not registered")]
    MissingReference {
        /// The path that holds the reference.
        referrer: StorePath,
        /// The path that is not there.
        reference: StorePath,
    },
    /// The file is not sound: SQLite's own check found a fault.
    #[error("{} is damaged: {finding}", database.display())]
    Damaged {
        /// The database's file.
        database: PathBuf,
        /// SQLite's first finding.
        finding: String,
    },
}

/// The bytes of a database that holds exactly `infos`, for an image.
///
/// They are the same for the same infos in any order.
///
/// # Errors
/// When a reference is not among the infos, or a size is impossible.
pub fn image<'infos>(
    store_dir: &StoreDir,
    infos: impl IntoIterator<Item = &'infos PathInfo>,
) -> Result<Vec<u8>, WriteDatabaseError> {
    let connection = Connection::open_in_memory().map_err(WriteDatabaseError::Query)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE).map_err(WriteDatabaseError::Query)?;
    finish(connection, store_dir, infos)
}

/// The bytes of a base's database with `infos` added: every row of the base stays.
///
/// `base` is the whole file; a write-ahead log beside it would be lost, so the caller refuses a base that has one
/// which is not empty.
///
/// # Errors
/// When `base` is no database, or as for [`image`]; a reference may lead to a path of the base.
pub fn image_on<'infos>(
    base: &[u8],
    store_dir: &StoreDir,
    infos: impl IntoIterator<Item = &'infos PathInfo>,
) -> Result<Vec<u8>, WriteDatabaseError> {
    let mut bytes = base.to_vec();
    // A database in memory has no log, so one that says otherwise could not be opened.
    let format = bytes.get_mut(HEADER_FORMAT).ok_or(WriteDatabaseError::NotADatabase { source: None })?;
    format.copy_from_slice(&ROLLBACK);
    let refused = |source| WriteDatabaseError::NotADatabase { source: Some(source) };
    let mut connection = Connection::open_in_memory().map_err(WriteDatabaseError::Query)?;
    connection.deserialize_read_exact(MAIN, &*bytes, bytes.len(), false).map_err(refused)?;
    connection.query_row("select count(*) from sqlite_master", [], |_| Ok(())).map_err(refused)?;
    finish(connection, store_dir, infos)
}

fn finish<'infos>(
    mut connection: Connection,
    store_dir: &StoreDir,
    infos: impl IntoIterator<Item = &'infos PathInfo>,
) -> Result<Vec<u8>, WriteDatabaseError> {
    connection.execute_batch(schema::TABLES).map_err(WriteDatabaseError::Query)?;
    register(&mut connection, store_dir, infos, IMAGE_REGISTRATION_TIME)?;
    let bytes = connection.serialize(MAIN).map_err(WriteDatabaseError::Query)?;
    Ok(bytes.to_vec())
}

/// The database of a store that is in use, or becomes so.
#[derive(Debug)]
pub struct StoreDatabase {
    connection: Connection,
    database: PathBuf,
}

impl StoreDatabase {
    /// Opens a store's database for writing and makes what is not there, file and tables.
    ///
    /// A writer (Nix, or another of ours) is waited for up to `busy_timeout`, here and later.
    ///
    /// # Errors
    /// When the file cannot be opened or made, is no database, or stays locked.
    pub fn open(
        database: &Path,
        journal_mode: JournalMode,
        busy_timeout: Duration,
    ) -> Result<Self, WriteDatabaseError> {
        let fail = |source| WriteDatabaseError::Open { database: database.to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Locks of two kinds do not see each other, so this is Nix's choice too (`sqlite.cc`, `SQLite::SQLite`).
        let connection = match journal_mode {
            JournalMode::Wal => Connection::open_with_flags(database, flags),
            JournalMode::Truncate => Connection::open_with_flags_and_vfs(database, flags, "unix-dotfile"),
        };
        let connection = connection.map_err(fail)?;
        connection.busy_timeout(busy_timeout).map_err(fail)?;
        let name = match journal_mode {
            JournalMode::Wal => "wal",
            JournalMode::Truncate => "truncate",
        };
        connection.pragma_update_and_check(None, "journal_mode", name, |_| Ok(())).map_err(fail)?;
        connection.execute_batch(schema::TABLES).map_err(fail)?;
        Ok(Self { connection, database: database.to_owned() })
    }

    /// Every path that is registered, with the hash that is registered for it.
    ///
    /// Rows that name no path of this store directory, or no hash, are left out: Nix never writes them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn valid_paths(
        &self,
        store_dir: &StoreDir,
    ) -> Result<BTreeMap<StorePath, NarHash>, WriteDatabaseError> {
        let rows = || {
            let mut statement = self.connection.prepare("select path, hash from ValidPaths")?;
            let rows = statement
                .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(rows)
        };
        let rows = rows().map_err(WriteDatabaseError::Query)?;
        let parse = |(path, hash): (String, String)| Some((store_dir.parse(&path).ok()?, hash.parse().ok()?));
        Ok(rows.into_iter().filter_map(parse).collect())
    }

    /// Registers paths in one transaction that deletes no row. A path that is registered already is corrected:
    /// hash, size, deriver and content address become those given, its signatures and its time stay.
    ///
    /// # Errors
    /// When a reference is neither given nor registered, or the database cannot be written; then nothing changed.
    pub fn register<'infos>(
        &mut self,
        store_dir: &StoreDir,
        infos: impl IntoIterator<Item = &'infos PathInfo>,
        registration_time: i64,
    ) -> Result<(), WriteDatabaseError> {
        register(&mut self.connection, store_dir, infos, registration_time)
    }

    /// Lets SQLite check the whole file.
    ///
    /// # Errors
    /// When it finds a fault, or cannot read the file.
    pub fn check(&self) -> Result<(), WriteDatabaseError> {
        let finding: String = self
            .connection
            .query_row("pragma integrity_check(1)", [], |row| row.get(0))
            .map_err(WriteDatabaseError::Query)?;
        if finding == "ok" {
            return Ok(());
        }
        Err(WriteDatabaseError::Damaged { database: self.database.clone(), finding })
    }
}

/// How the file at `database` is written by those who use it: `None` when it is absent, empty or no database.
///
/// Only [`JournalMode::Wal`] shows in the file; a rollback journal may be Nix's, or of a database that was only made.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn has_log(database: &Path) -> io::Result<Option<bool>> {
    let mut header = [0; 20];
    match std::fs::File::open(database).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) => Ok(Some(header[HEADER_FORMAT] != ROLLBACK)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Path infos sorted by path, each once: the order of everything that is written.
pub(super) fn in_order<'infos>(
    infos: impl IntoIterator<Item = &'infos PathInfo>,
) -> impl Iterator<Item = &'infos PathInfo> {
    let infos: BTreeMap<&StorePath, &PathInfo> = infos.into_iter().map(|info| (&info.path, info)).collect();
    infos.into_values()
}

fn register<'infos>(
    connection: &mut Connection,
    store_dir: &StoreDir,
    infos: impl IntoIterator<Item = &'infos PathInfo>,
    registration_time: i64,
) -> Result<(), WriteDatabaseError> {
    let infos: Vec<&PathInfo> = in_order(infos).collect();
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(WriteDatabaseError::Query)?;
    for info in &infos {
        register_path(&transaction, store_dir, info, registration_time)?;
    }
    for info in &infos {
        register_references(&transaction, store_dir, info)?;
    }
    transaction.commit().map_err(WriteDatabaseError::Query)
}

fn register_path(
    transaction: &Transaction<'_>,
    store_dir: &StoreDir,
    info: &PathInfo,
    registration_time: i64,
) -> Result<(), WriteDatabaseError> {
    let nar_size = i64::try_from(info.nar_size)
        .map_err(|_| WriteDatabaseError::NarTooLarge { path: info.path.clone(), nar_size: info.nar_size })?;
    let deriver = info.deriver.as_ref().map(|deriver| store_dir.full_path(deriver));
    let row = (
        store_dir.full_path(&info.path),
        info.nar_hash.base16(),
        registration_time,
        deriver,
        nar_size,
        info.content_address.as_deref(),
    );
    let mut statement =
        transaction.prepare_cached(schema::REGISTER_PATH).map_err(WriteDatabaseError::Query)?;
    statement.execute(row).map(drop).map_err(WriteDatabaseError::Query)
}

fn register_references(
    transaction: &Transaction<'_>,
    store_dir: &StoreDir,
    info: &PathInfo,
) -> Result<(), WriteDatabaseError> {
    let prepare = |sql| transaction.prepare_cached(sql).map_err(WriteDatabaseError::Query);
    let mut is_registered = prepare(schema::IS_REGISTERED)?;
    let mut register = prepare(schema::REGISTER_REFERENCE)?;
    let referrer = store_dir.full_path(&info.path);
    for reference in &info.references {
        let full_path = store_dir.full_path(reference);
        if !is_registered.exists([&full_path]).map_err(WriteDatabaseError::Query)? {
            return Err(WriteDatabaseError::MissingReference {
                referrer: info.path.clone(),
                reference: reference.clone(),
            });
        }
        register.execute([&referrer, &full_path]).map_err(WriteDatabaseError::Query)?;
    }
    Ok(())
}
