//! The database as Nix writes it, and as it looks after damage.

use std::path::{Path, PathBuf};

use floe_store::StorePath;
use floe_store::read::database::{self, ReadDatabaseError};
use rusqlite::Connection;

use crate::stage::Stage;

/// A copy of the stage's database that the test may damage.
fn copy(stage: &Stage) -> PathBuf {
    let copy = stage.folder().join("copy.sqlite");
    std::fs::copy(stage.database(), &copy).expect("a database");
    copy
}

fn change(database: &Path, sql: &str) {
    let connection = Connection::open(database).expect("a database");
    connection.execute_batch(sql).expect("a change");
}

fn error_of(stage: &Stage, database: &Path, roots: &[StorePath]) -> ReadDatabaseError {
    database::closure(database, stage.store.store_dir(), roots).expect_err("a damaged database")
}

/// SQLite needs shared memory beside a database with a log; a link to itself in its place is a refusal for every
/// user, root too.
fn refuse_shared_memory(database: &Path) {
    let mut name = database.file_name().expect("a name").to_owned();
    name.push("-shm");
    std::os::unix::fs::symlink(&name, database.with_file_name(&name)).expect("a symlink");
}

#[test]
fn names_the_row_that_is_damaged() {
    let stage = Stage::rooted();
    let roots = &stage.texts()[..1];
    let library = "UPDATE ValidPaths SET";
    for (change_sql, expected) in [
        (format!("{library} hash = 'sha256:zz' WHERE path LIKE '%library'"), "has 'sha256:zz' as hash"),
        (format!("{library} hash = x'00' WHERE path LIKE '%library'"), "has '1 bytes' as hash"),
        (format!("{library} narSize = -1 WHERE path LIKE '%library'"), "has '-1' as narSize"),
        (format!("{library} narSize = 'many' WHERE path LIKE '%library'"), "as narSize"),
        (format!("{library} narSize = NULL WHERE path LIKE '%library'"), "as narSize"),
        (format!("{library} path = '/etc/passwd' WHERE path LIKE '%library'"), "has '/etc/passwd' as path"),
        (format!("{library} path = cast(x'ff' AS TEXT) WHERE path LIKE '%library'"), "as path"),
        (format!("{library} deriver = 'x' WHERE path LIKE '%library'"), "has 'x' as deriver"),
        (
            "PRAGMA foreign_keys = OFF; DELETE FROM ValidPaths WHERE path LIKE '%library'".to_owned(),
            "which does not exist",
        ),
        ("DROP TABLE Refs".to_owned(), "expected the column referrer in the table Refs"),
        ("ALTER TABLE ValidPaths RENAME COLUMN ca TO xx".to_owned(), "expected the column ca"),
        ("DELETE FROM Refs; DELETE FROM ValidPaths".to_owned(), "is not registered"),
    ] {
        let database = copy(&stage);
        change(&database, &change_sql);
        let error = error_of(&stage, &database, roots).to_string();
        assert!(error.contains(expected), "{change_sql}: {error}");
    }
}

#[test]
fn tells_missing_from_unreadable() {
    let stage = Stage::rooted();
    let roots = &stage.texts()[..1];
    let missing = error_of(&stage, &stage.folder().join("none"), roots);
    assert!(matches!(missing, ReadDatabaseError::Missing { .. }), "{missing:?}");
    let text = stage.folder().join("text");
    std::fs::write(&text, "this is no database, however long it may be".repeat(100)).expect("a file");
    let no_database = error_of(&stage, &text, roots);
    assert!(matches!(no_database, ReadDatabaseError::Query { .. }), "{no_database:?}");
    let folder = error_of(&stage, stage.folder(), roots);
    assert!(
        matches!(folder, ReadDatabaseError::Query { .. } | ReadDatabaseError::Unreadable { .. }),
        "{folder:?}"
    );
}

#[test]
fn sees_what_is_still_in_the_log() {
    let stage = Stage::rooted();
    let roots = &stage.texts()[..1];
    // A writer that stays connected keeps its changes in the log.
    let writer = Connection::open(stage.database()).expect("a database");
    writer.execute_batch("UPDATE ValidPaths SET narSize = 4711 WHERE path LIKE '%base'").expect("a change");
    let log = stage.database().with_file_name("db.sqlite-wal");
    assert!(std::fs::metadata(&log).expect("a log").len() > 0);
    let read = database::closure(&stage.database(), stage.store.store_dir(), roots).expect("a closure");
    assert_eq!(read.stale_risk, None);
    assert!(read.closure.paths().any(|info| info.nar_size == 4711));
}

#[test]
fn reports_what_an_immutable_database_hides() {
    let stage = Stage::rooted();
    let roots = &stage.texts()[..1];
    let database = copy(&stage);
    refuse_shared_memory(&database);
    let read = database::closure(&database, stage.store.store_dir(), roots).expect("a closure");
    assert_eq!((read.stale_risk, read.closure.len()), (None, 3));
    let log = stage.folder().join("copy.sqlite-wal");
    std::fs::write(&log, [0; 4152]).expect("a log");
    let read = database::closure(&database, stage.store.store_dir(), roots).expect("a closure");
    let risk = read.stale_risk.expect("a log that was left out");
    assert_eq!((risk.log, risk.log_size), (log, 4152));
}

#[test]
fn opens_paths_that_look_like_uris() {
    let stage = Stage::rooted();
    let roots = &stage.texts()[..1];
    let folder = stage.folder().join("a%20b?c#d");
    std::fs::create_dir(&folder).expect("a folder");
    let database = folder.join("copy.sqlite");
    refuse_shared_memory(&database);
    std::fs::copy(stage.database(), &database).expect("a database");
    let read = database::closure(&database, stage.store.store_dir(), roots).expect("a closure");
    assert_eq!(read.closure.len(), 3);
}
