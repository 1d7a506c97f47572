//! The database of a local store, `/nix/var/nix/db/db.sqlite`, read directly.
//!
//! Roots come in; their closure goes out, from one read transaction and without a process. The schema
//! is Nix's `schema.sql` (tables `ValidPaths` and `Refs`; schema 10). The file is opened read-only; only when that
//! is refused (a store on a read-only disk, or of another user) it is opened as `immutable=1`, which does not see the
//! write-ahead log and is therefore reported as a [`StaleRisk`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Statement};

use crate::{Closure, ClosureError, NarHash, PathInfo, StoreDir, StorePath};

/// How long a writer (a build that ends, the garbage collector) is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The columns that are read; a database without one of them has a schema that floe does not know.
const COLUMNS: [(&str, &str); 8] = [
    ("ValidPaths", "id"),
    ("ValidPaths", "path"),
    ("ValidPaths", "hash"),
    ("ValidPaths", "narSize"),
    ("ValidPaths", "deriver"),
    ("ValidPaths", "ca"),
    ("Refs", "referrer"),
    ("Refs", "reference"),
];

/// A closure from the database.
#[derive(Clone, Debug)]
pub struct DatabaseClosure {
    /// The closure.
    pub closure: Closure,
    /// Set when the newest entries could not be seen.
    pub stale_risk: Option<StaleRisk>,
}

/// The database was read without its write-ahead log, which is not empty: what Nix wrote last is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleRisk {
    /// The log that was left out.
    pub log: PathBuf,
    /// Its bytes.
    pub log_size: u64,
}

/// Why the database told no closure.
#[derive(Debug, thiserror::Error)]
pub enum ReadDatabaseError {
    /// There is no database: no Nix, or a store with another root.
    #[error("{} does not exist", database.display())]
    Missing {
        /// The database's file.
        database: PathBuf,
    },
    /// The file is there and cannot be read at all.
    #[error("cannot read {}", database.display())]
    Unreadable {
        /// The database's file.
        database: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// SQLite cannot open or query the file.
    #[error("cannot query {}", database.display())]
    Query {
        /// The database's file.
        database: PathBuf,
        /// SQLite's reason.
        #[source]
        source: rusqlite::Error,
    },
    /// The tables are not those of a Nix store.
    #[error("{} has another schema than Nix's: expected the column {column} in the table {table}", database.display())]
    Schema {
        /// The database's file.
        database: PathBuf,
        /// The table.
        table: &'static str,
        /// The column that it lacks.
        column: &'static str,
    },
    /// A root is not registered.
    #[error("{path} is not registered as a valid path")]
    NotValid {
        /// The full path.
        path: String,
    },
    /// A row holds what Nix never writes; the database is damaged, and its closures cannot be trusted.
    #[error("row {id} of ValidPaths has '{found}' as {column}: expected {expected}")]
    BadRow {
        /// The row's `id`.
        id: i64,
        /// The column.
        column: &'static str,
        /// What it holds.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A reference leads to no row; programs in the closure would miss files.
    #[error("{referrer} refers to row {id} of ValidPaths, which does not exist")]
    DanglingReference {
        /// The full path that holds the reference.
        referrer: String,
        /// The row that is not there.
        id: i64,
    },
    /// The rows do not form a closure.
    #[error("the paths in {} form no closure", database.display())]
    NoClosure {
        /// The database's file.
        database: PathBuf,
        /// Why not.
        #[source]
        source: ClosureError,
    },
}

/// Reads the closure of `roots` from a database file.
///
/// # Errors
/// When the file is missing or unreadable, a root is not registered, or a row is damaged.
pub fn closure(
    database: &Path,
    store_dir: &StoreDir,
    roots: &[StorePath],
) -> Result<DatabaseClosure, ReadDatabaseError> {
    match database.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(ReadDatabaseError::Missing { database: database.to_owned() }),
        Err(source) => return Err(ReadDatabaseError::Unreadable { database: database.to_owned(), source }),
    }
    let query = |source| ReadDatabaseError::Query { database: database.to_owned(), source };
    let (connection, stale_risk) = match open(database, false) {
        Ok(connection) => (connection, None),
        Err(error) if is_refusal(&error) => {
            // SQLite does not say why it was refused; the system does, where the file itself is unreadable.
            std::fs::File::open(database)
                .map_err(|source| ReadDatabaseError::Unreadable { database: database.to_owned(), source })?;
            (open(database, true).map_err(query)?, stale_risk(database))
        }
        Err(error) => return Err(query(error)),
    };
    let reader = Reader { connection: &connection, database, store_dir };
    Ok(DatabaseClosure { closure: reader.closure(roots)?, stale_risk })
}

/// Opens the file and begins a read transaction, so that a refusal shows here and all rows are of one moment.
fn open(database: &Path, immutable: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if immutable {
        Connection::open_with_flags(immutable_uri(database), flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(database, flags)?
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("BEGIN")?;
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    Ok(connection)
}

/// The file as a URI (SQLite, "URI Filenames"), with what would end its path part escaped.
fn immutable_uri(database: &Path) -> PathBuf {
    let mut uri = std::ffi::OsString::from("file:");
    let escaped = |byte: &u8| match byte {
        b'%' | b'?' | b'#' => format!("%{byte:02X}").into_bytes(),
        byte => vec![*byte],
    };
    let path: Vec<u8> = database.as_os_str().as_encoded_bytes().iter().flat_map(escaped).collect();
    uri.push(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&path));
    uri.push("?immutable=1");
    uri.into()
}

/// Whether SQLite would have to write beside the file (its shared memory) and may not.
fn is_refusal(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}

fn stale_risk(database: &Path) -> Option<StaleRisk> {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    // A log that cannot be looked at is most often none; the database's own rows still stand.
    let log_size = std::fs::metadata(&log).ok()?.len();
    (log_size > 0).then_some(StaleRisk { log, log_size })
}

struct Reader<'a> {
    connection: &'a Connection,
    database: &'a Path,
    store_dir: &'a StoreDir,
}

impl Reader<'_> {
    fn closure(&self, roots: &[StorePath]) -> Result<Closure, ReadDatabaseError> {
        self.check_schema()?;
        let mut rows: BTreeMap<i64, PathInfo> = BTreeMap::new();
        let mut references: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let mut waiting = Vec::new();
        let columns = "SELECT id, path, hash, narSize, deriver, ca FROM ValidPaths";
        let mut by_path = self.prepare(&format!("{columns} WHERE path = ?"))?;
        let mut by_id = self.prepare(&format!("{columns} WHERE id = ?"))?;
        let mut referred = self.prepare("SELECT reference FROM Refs WHERE referrer = ?")?;
        for root in roots {
            let path = self.store_dir.full_path(root);
            let info = self.row(&mut by_path, &path)?;
            let (id, info) = info.ok_or(ReadDatabaseError::NotValid { path })?;
            if rows.insert(id, info).is_none() {
                waiting.push(id);
            }
        }
        while let Some(referrer) = waiting.pop() {
            let ids = self.references(&mut referred, referrer)?;
            for id in &ids {
                if rows.contains_key(id) {
                    continue;
                }
                let Some((_, info)) = self.row(&mut by_id, id)? else {
                    let referrer = self.store_dir.full_path(&rows[&referrer].path);
                    return Err(ReadDatabaseError::DanglingReference { referrer, id: *id });
                };
                rows.insert(*id, info);
                waiting.push(*id);
            }
            references.insert(referrer, ids);
        }
        let path_of = |id: &i64| rows[id].path.clone();
        let named: Vec<(i64, BTreeSet<StorePath>)> =
            references.iter().map(|(id, ids)| (*id, ids.iter().map(path_of).collect())).collect();
        for (id, references) in named {
            rows.entry(id).and_modify(|info| info.references = references);
        }
        Closure::new(self.store_dir.clone(), roots.iter().cloned(), rows.into_values())
            .map_err(|source| ReadDatabaseError::NoClosure { database: self.database.to_owned(), source })
    }

    fn check_schema(&self) -> Result<(), ReadDatabaseError> {
        let mut statement = self.prepare("SELECT 1 FROM pragma_table_info(?) WHERE name = ?")?;
        for (table, column) in COLUMNS {
            if !statement.exists([table, column]).map_err(|error| self.query(error))? {
                return Err(ReadDatabaseError::Schema { database: self.database.to_owned(), table, column });
            }
        }
        Ok(())
    }

    fn prepare(&self, sql: &str) -> Result<Statement<'_>, ReadDatabaseError> {
        self.connection.prepare(sql).map_err(|error| self.query(error))
    }

    fn query(&self, source: rusqlite::Error) -> ReadDatabaseError {
        ReadDatabaseError::Query { database: self.database.to_owned(), source }
    }

    fn row(
        &self,
        statement: &mut Statement<'_>,
        key: &dyn rusqlite::ToSql,
    ) -> Result<Option<(i64, PathInfo)>, ReadDatabaseError> {
        let values = |row: &Row<'_>| -> rusqlite::Result<RawRow> {
            Ok(RawRow {
                id: row.get(0)?,
                path: Field::of(row.get_ref(1)?),
                hash: Field::of(row.get_ref(2)?),
                nar_size: row.get(3)?,
                deriver: Field::of(row.get_ref(4)?),
                content_address: Field::of(row.get_ref(5)?),
            })
        };
        let raw = statement.query_row([key], values).optional().map_err(|error| self.query(error))?;
        raw.map(|raw| Ok((raw.id, raw.parse(self.store_dir)?))).transpose()
    }

    fn references(
        &self,
        statement: &mut Statement<'_>,
        referrer: i64,
    ) -> Result<Vec<i64>, ReadDatabaseError> {
        statement
            .query_map([referrer], |row| row.get(0))
            .and_then(Iterator::collect)
            .map_err(|error| self.query(error))
    }
}

/// A column that holds text or nothing, or else what to show in its place.
enum Field {
    Empty,
    Text(String),
    Other(String),
}

impl Field {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Empty,
            ValueRef::Text([]) => Self::Empty,
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Text(text.to_owned()),
                Err(_) => Self::Other(String::from_utf8_lossy(bytes).into_owned()),
            },
            ValueRef::Integer(number) => Self::Other(number.to_string()),
            ValueRef::Real(number) => Self::Other(number.to_string()),
            ValueRef::Blob(bytes) => Self::Other(format!("{} bytes", bytes.len())),
        }
    }
}

/// A row of `ValidPaths` as it stands in the file.
struct RawRow {
    id: i64,
    path: Field,
    hash: Field,
    nar_size: Value,
    deriver: Field,
    content_address: Field,
}

impl RawRow {
    fn parse(self, store_dir: &StoreDir) -> Result<PathInfo, ReadDatabaseError> {
        let id = self.id;
        let bad = |column, found: &str, expected| ReadDatabaseError::BadRow {
            id,
            column,
            found: found.to_owned(),
            expected,
        };
        let text = |column, field: Field, expected| match field {
            Field::Empty => Ok(None),
            Field::Text(text) => Ok(Some(text)),
            Field::Other(found) => Err(bad(column, &found, expected)),
        };
        let store_path = |column, field| {
            let text = text(column, field, "a full store path")?;
            text.map(|path| store_dir.parse(&path).map_err(|_| bad(column, &path, "a full store path")))
                .transpose()
        };
        let sha256 = "sha256:<hex>";
        let hash = text("hash", self.hash, sha256)?.unwrap_or_default();
        let nar_size = match self.nar_size {
            Value::Integer(size) => u64::try_from(size).map_err(|_| size.to_string()),
            other => Err(format!("{other:?}")),
        };
        Ok(PathInfo {
            path: store_path("path", self.path)?.ok_or_else(|| bad("path", "", "a full store path"))?,
            nar_hash: hash.parse::<NarHash>().map_err(|_| bad("hash", &hash, sha256))?,
            nar_size: nar_size.map_err(|found| bad("narSize", &found, "a number of bytes"))?,
            references: BTreeSet::new(),
            deriver: store_path("deriver", self.deriver)?,
            content_address: text("ca", self.content_address, "a content address")?,
        })
    }
}
