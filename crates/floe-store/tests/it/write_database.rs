//! The database that we write, as Nix reads it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use floe_store::write::database::{self, JournalMode, SCHEMA_VERSION, StoreDatabase, WriteDatabaseError};
use floe_store::write::registration;
use floe_store::{Closure, NarHash, PathInfo, StoreDir, StorePath};
use sha2::{Digest as _, Sha256};

use crate::stage::Stage;

/// How long the tests wait for another writer.
const BUSY: Duration = Duration::from_secs(10);

fn path(letter: &str) -> StorePath {
    format!("{}-{letter}", letter.repeat(32)).parse().expect("a well-formed path")
}

fn info(letter: &str, references: &[&str]) -> PathInfo {
    PathInfo {
        path: path(letter),
        nar_hash: NarHash::from_bytes([7; 32]),
        nar_size: 120,
        references: references.iter().map(|reference| path(reference)).collect(),
        deriver: None,
        content_address: (letter == "c").then(|| "text:sha256:aaaa".to_owned()),
    }
}

/// The stage's texts as a closure, in a store that Nix made.
fn closure_of(stage: &Stage) -> Closure {
    let texts = stage.texts();
    floe_store::read::database::closure(&stage.database(), stage.store.store_dir(), &texts)
        .expect("a closure")
        .closure
}

/// Takes away what Nix wrote about a store, and keeps its paths.
fn forget(stage: &Stage) -> PathBuf {
    let folder = stage.database().parent().expect("a folder").to_owned();
    std::fs::remove_dir_all(&folder).expect("a folder");
    std::fs::create_dir(&folder).expect("a folder");
    folder
}

/// Puts another database in the place of the stage's.
fn replace(stage: &Stage, bytes: &[u8]) {
    let folder = forget(stage);
    std::fs::write(folder.join("schema"), SCHEMA_VERSION).expect("a schema");
    std::fs::write(folder.join("db.sqlite"), bytes).expect("a database");
}

fn verify(stage: &Stage) {
    stage.run("nix-store", &["--verify", "--check-contents"]);
}

#[test]
fn nix_finds_nothing_wrong_with_an_images_database() {
    let stage = Stage::rooted();
    let closure = closure_of(&stage);
    let before = stage.run("nix-store", &["--dump-db"]);
    let bytes = database::image(stage.store.store_dir(), closure.paths()).expect("a database");
    replace(&stage, &bytes);
    verify(&stage);
    assert_eq!(stage.run("nix-store", &["--dump-db"]), before);
    for info in closure.paths() {
        stage.run("nix-store", &["--check-validity", &stage.full(&info.path)]);
    }
    // A path that is damaged afterwards is found: the hashes are the real ones.
    let app = closure.roots().first().expect("a root");
    let file = stage.store.physical_store().join(app.as_str());
    std::fs::remove_file(&file).expect("a file of the store");
    std::fs::write(&file, "other").expect("a file of the store");
    let output =
        stage.command("nix-store").args(["--verify", "--check-contents"]).output().expect("nix-store");
    assert!(!output.status.success());
}

#[test]
fn nix_loads_the_registration() {
    let stage = Stage::rooted();
    let closure = closure_of(&stage);
    let before = stage.run("nix-store", &["--dump-db"]);
    let text = registration::text(stage.store.store_dir(), closure.paths());
    forget(&stage);
    let file = stage.folder().join("registration");
    std::fs::write(&file, text).expect("a file");
    let mut command = stage.command("nix-store");
    command.arg("--load-db").stdin(std::fs::File::open(file).expect("a file"));
    assert!(command.status().expect("nix-store").success());
    assert_eq!(stage.run("nix-store", &["--dump-db"]), before);
    verify(&stage);
}

#[test]
fn adds_to_a_bases_database() {
    let stage = Stage::rooted();
    let closure = closure_of(&stage);
    // The base is what Nix itself wrote, with one path of its own, and marked as having a log.
    let lonely = closure.paths().find(|info| info.path.name() == "lonely").expect("a lonely text");
    let base = std::fs::read(stage.database()).expect("a database");
    let (added, rest): (Vec<_>, Vec<_>) =
        closure.paths().partition(|info| info.path.name() == "app-1.0" || info.path == lonely.path);
    let base_of_rest = database::image(stage.store.store_dir(), rest).expect("a database");
    let both = database::image_on(&base_of_rest, stage.store.store_dir(), added).expect("a database");
    let before = stage.run("nix-store", &["--dump-db"]);
    replace(&stage, &both);
    assert_eq!(stage.run("nix-store", &["--dump-db"]), before);
    verify(&stage);
    let again = database::image_on(&base, stage.store.store_dir(), closure.paths()).expect("a database");
    replace(&stage, &again);
    verify(&stage);
}

#[test]
fn bytes_depend_on_the_infos_alone() {
    let infos = [info("a", &["b", "a"]), info("b", &["c"]), info("c", &[])];
    let store_dir = StoreDir::default();
    let bytes = database::image(&store_dir, &infos).expect("a database");
    assert_eq!(database::image(&store_dir, infos.iter().rev()).expect("a database"), bytes);
    let twice = infos.iter().chain(&infos);
    assert_eq!(database::image(&store_dir, twice).expect("a database"), bytes);
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    // Changes with SQLite, whose version is in the header, and with the schema: images with Nix change with it.
    assert_eq!(digest, "051b1a255a6424b7d674864e50ff6434f36cbeeafa818dd6c9f8d579bd561ffd");
}

#[test]
fn refuses_what_nix_would_trip_over() {
    let store_dir = StoreDir::default();
    let image = |infos: &[PathInfo]| database::image(&store_dir, infos).expect_err("an impossible database");
    let missing = image(&[info("a", &["b"])]);
    assert!(
        matches!(&missing, WriteDatabaseError::MissingReference { reference, .. } if *reference == path("b"))
    );
    let large = image(&[PathInfo { nar_size: u64::MAX, ..info("a", &[]) }]);
    assert!(matches!(large, WriteDatabaseError::NarTooLarge { .. }), "{large}");
    for base in [&b""[..], b"short", &[0; 4096], &b"no database at all ".repeat(300)] {
        let error = database::image_on(base, &store_dir, []).expect_err("no database");
        assert!(matches!(error, WriteDatabaseError::NotADatabase { .. }), "{error}");
    }
}

#[test]
fn registers_in_a_store_in_use() {
    for (mode, has_log) in [(JournalMode::Wal, true), (JournalMode::Truncate, false)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("db.sqlite");
        assert_eq!(database::has_log(&file).expect("a look"), None);
        let mut open = StoreDatabase::open(&file, mode, BUSY).expect("a new database");
        let store_dir = StoreDir::default();
        open.register(&store_dir, &[info("a", &["b"]), info("b", &[])], 1000).expect("a transaction");
        let corrected = PathInfo { nar_hash: NarHash::from_bytes([8; 32]), ..info("a", &[]) };
        open.register(&store_dir, &[corrected.clone(), info("d", &["b"])], 2000).expect("a transaction");
        let failed = open.register(&store_dir, &[info("g", &[]), info("h", &["z"])], 3000);
        assert!(matches!(failed, Err(WriteDatabaseError::MissingReference { .. })));
        let valid = open.valid_paths(&store_dir).expect("rows");
        let letters: BTreeSet<&str> = valid.keys().map(StorePath::name).collect();
        assert_eq!(letters, BTreeSet::from(["a", "b", "d"]));
        assert_eq!(valid[&corrected.path], corrected.nar_hash);
        open.check().expect("a sound database");
        drop(open);
        assert_eq!(database::has_log(&file).expect("a look"), Some(has_log));
        assert_eq!(times(&file), [1000, 1000, 2000]);
        let again = StoreDatabase::open(&file, mode, BUSY).expect("the database");
        assert_eq!(again.valid_paths(&store_dir).expect("rows"), valid);
    }
}

fn times(file: &Path) -> Vec<i64> {
    let connection = rusqlite::Connection::open(file).expect("a database");
    let mut statement =
        connection.prepare("select registrationTime from ValidPaths order by path").expect("a statement");
    statement.query_map([], |row| row.get(0)).expect("rows").map(|time| time.expect("a time")).collect()
}
