//! Roots that Nix's own garbage collector respects.

use floe_store::gc_root::{self, GcRootError};

use crate::stage::Stage;

#[test]
fn keeps_a_path_until_it_is_removed() {
    let stage = Stage::rooted();
    let texts = stage.texts();
    let [app, lonely] = [&texts[0], &texts[3]];
    let link = stage.folder().join("roots/deep/app");
    gc_root::add(&stage.store, &link, lonely).expect("a root");
    gc_root::add(&stage.store, &link, app).expect("a root that is changed");
    let roots = stage.run("nix-store", &["--gc", "--print-roots"]);
    let expected = format!("{} -> {}", link.display(), stage.full(app));
    assert!(roots.lines().any(|line| line == expected), "{roots}");

    stage.run("nix-store", &["--gc"]);
    assert_eq!(stage.store.closure(std::slice::from_ref(app)).expect("a kept closure").len(), 3);
    assert!(stage.store.closure(std::slice::from_ref(lonely)).is_err());

    gc_root::remove(&stage.store, &link).expect("a root to remove");
    gc_root::remove(&stage.store, &link).expect("a root that is gone already");
    assert_eq!(stage.run("nix-store", &["--gc", "--print-roots"]), "");
    stage.run("nix-store", &["--gc"]);
    assert!(stage.store.closure(std::slice::from_ref(app)).is_err());
}

#[test]
fn registers_where_nix_does() {
    let stage = Stage::rooted();
    let app = &stage.texts()[0];
    let auto = stage.store.state_dir().join("gcroots/auto");
    let names = || {
        let entries = std::fs::read_dir(&auto).expect("a folder");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    let link = stage.folder().join("app");
    let text = link.to_str().expect("text");
    stage.run("nix-store", &["--realise", "--add-root", text, "--indirect", &stage.full(app)]);
    let by_nix = names();
    gc_root::remove(&stage.store, &link).expect("a root that Nix made");
    assert!(names().is_empty());
    gc_root::add(&stage.store, &link, app).expect("a root");
    assert_eq!(names(), by_nix);
}

#[test]
fn replaces_no_file() {
    let stage = Stage::rooted();
    let app = &stage.texts()[0];
    let file = stage.folder().join("file");
    std::fs::write(&file, "keep me").expect("a file");
    assert!(matches!(gc_root::add(&stage.store, &file, app), Err(GcRootError::Occupied { .. })));
    assert!(matches!(gc_root::remove(&stage.store, &file), Err(GcRootError::Occupied { .. })));
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "keep me");
}
