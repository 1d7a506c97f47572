//! Plain directories get the store paths that `nix-store --add` gives them.

use std::os::unix::fs::{PermissionsExt, symlink};

use floe_store::tree::LocalTrees;
use floe_store::{add_directory, nar};

use crate::stage::Stage;

#[test]
fn agrees_with_nix_store_add() {
    for stage in [Stage::rooted(), Stage::relocated()] {
        let folder = stage.folder().join("sources");
        std::fs::create_dir_all(folder.join("app-1.0+x_?=/bin/empty")).expect("a folder");
        std::fs::write(folder.join("app-1.0+x_?=/bin/run"), "#!/bin/sh\n").expect("a file");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.join("app-1.0+x_?=/bin/run"), executable).expect("a file");
        symlink("run", folder.join("app-1.0+x_?=/bin/alias")).expect("a symlink");
        std::fs::write(folder.join("file.txt"), "one file").expect("a file");
        symlink("file.txt", folder.join("link")).expect("a symlink");
        for name in ["app-1.0+x_?=", "file.txt", "link"] {
            let location = folder.join(name);
            let given = if name.starts_with("app") { folder.join(name).join("") } else { location.clone() };
            let added = add_directory(&given, None, stage.store.store_dir()).expect("an added path");
            let full_path = stage.run("nix-store", &["--add", location.to_str().expect("text")]);
            assert_eq!(stage.full(&added.info.path), full_path);
            assert_eq!(added.location, location);

            let registered = floe_store::read::database::closure(
                &stage.database(),
                stage.store.store_dir(),
                std::slice::from_ref(&added.info.path),
            );
            let registered = registered.expect("a closure").closure;
            assert_eq!(registered.info(&added.info.path), Some(&added.info));

            let mut trees = LocalTrees::new("/nowhere");
            trees.add(added.info.path.clone(), added.location);
            let hashed = nar::hash_tree(&trees, &added.info.path).expect("a readable tree");
            assert_eq!(hashed, (added.info.nar_hash, added.info.nar_size));
        }
    }
}

#[test]
fn takes_another_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store_dir = floe_store::StoreDir::default();
    let named = |name| add_directory(folder.path(), name, &store_dir).map(|added| added.info.path);
    let app = named(Some("app")).expect("a store path");
    let library = named(Some("library")).expect("a store path");
    assert_eq!((app.name(), library.name()), ("app", "library"));
    assert_ne!(app.hash_part(), library.hash_part());
    assert!(named(Some("with space")).is_err());
}
