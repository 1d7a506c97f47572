//! The same closure from every source, compared as a whole.

use floe_store::read::{database, path_info_json, registration, structured_attrs};
use floe_store::{Closure, NarHash, PathInfo, ReadClosureError, ReadSource, nar};

use crate::stage::Stage;

/// A builder's derivation that keeps what it was given, and a closure with every kind of path in it.
const EXPORTED: &str = r#"
    let
      shell = args: derivation ({ system = builtins.currentSystem; builder = "/bin/sh"; } // args);
      text = builtins.toFile "text" "a text";
      library = shell { name = "library"; args = [ "-c" "echo ${text} > $out" ]; };
      app = shell { name = "app-1.0"; outputs = [ "out" "doc" ];
        args = [ "-c" "echo ${library} $out > $out; echo $out > $doc" ]; };
      lonely = shell { name = "lonely"; args = [ "-c" "echo alone > $out" ]; };
    in {
      roots = [ lonely app.doc ];
      attributes = shell {
        name = "attributes";
        __structuredAttrs = true;
        exportReferencesGraph.graph = [ lonely app.doc ];
        args = [ "-c" ''
          file="$NIX_ATTRS_JSON_FILE"; [ -e "$file" ] || file=.attrs.json
          out=$(sed -n 's/^declare out=.\(.*\).$/\1/p' .attrs.sh 2>/dev/null)
          read -r line < "$file"
          [ -n "$out" ] || { out="''${line#*\"outputs\":\{\"out\":\"}"; out="''${out%%\"*}"; }
          echo "$line" > "$out"
        '' ];
      };
    }
"#;

/// What only some of the sources tell: a builder does not learn derivers.
fn without_derivers(closure: &Closure) -> Vec<PathInfo> {
    closure.paths().map(|info| PathInfo { deriver: None, ..info.clone() }).collect()
}

#[test]
fn all_agree_on_a_built_closure() {
    let stage = Stage::relocated();
    let store_dir = stage.store.store_dir();
    let attributes = stage.build(&format!("({EXPORTED}).attributes"));
    let roots: Vec<_> = stage
        .run("nix-build", &["--no-out-link", "--expr", &format!("({EXPORTED}).roots")])
        .lines()
        .map(|path| stage.parse(path))
        .collect();

    let from_database = database::closure(&stage.database(), store_dir, &roots).expect("the database");
    assert_eq!(from_database.stale_risk, None);
    let expected = from_database.closure;
    assert_eq!(expected.len(), 5, "{expected:#?}");
    assert_eq!(expected.paths().filter(|info| info.deriver.is_some()).count(), 4);

    let from_path_info = path_info_json::closure(&stage.store, &roots).expect("path-info");
    assert_eq!(from_path_info, expected);

    let json = std::fs::read(stage.full(&attributes)).expect("the builder's copy");
    let from_attributes = structured_attrs::parse(&json, "graph", store_dir).expect("structured attributes");
    assert_eq!(from_attributes.roots(), expected.roots());
    assert_eq!(without_derivers(&from_attributes), without_derivers(&expected));

    let dump = stage.run("nix-store", &["--dump-db"]);
    let from_dump = registration::parse(dump.as_bytes(), store_dir, Some(&roots)).expect("a registration");
    for (dumped, info) in from_dump.paths().zip(expected.paths()) {
        assert_eq!(*dumped, PathInfo { content_address: None, ..info.clone() });
    }
    assert_eq!(from_dump.len(), expected.len());

    for info in expected.paths() {
        let hashed = nar::hash_tree(&stage.store.trees(), &info.path).expect("a readable tree");
        assert_eq!(hashed, (info.nar_hash, info.nar_size), "{}", info.path);
    }
}

#[test]
fn reads_the_database_first() {
    let stage = Stage::rooted();
    let texts = stage.texts();
    let read = stage.store.read_closure(&texts[..1]).expect("a closure");
    assert_eq!((read.source, read.stale_risk), (ReadSource::Database, None));
    assert_eq!(read.closure.len(), 3);
    assert_eq!(stage.store.closure(&texts[..1]).expect("a closure"), read.closure);
    let from_path_info = path_info_json::closure(&stage.store, &texts[..1]).expect("path-info");
    assert_eq!(from_path_info, read.closure);

    let derivation = r#"derivation { name = "x"; system = "x"; builder = "x"; }"#;
    let derivation = stage.parse(&stage.run("nix-instantiate", &["--expr", derivation]));
    let from_path_info = path_info_json::closure(&stage.store, std::slice::from_ref(&derivation));
    assert_eq!(from_path_info.expect("path-info"), stage.store.closure(&[derivation]).expect("a closure"));
}

#[test]
fn asks_nix_when_the_path_is_not_in_the_database() {
    // Only Nix's environment says where this store keeps its database, and this process does not have it.
    let stage = Stage::relocated();
    let texts = stage.texts();
    let read = stage.store.read_closure(&texts[..1]).expect("a closure");
    assert_eq!(read.source, ReadSource::PathInfo);
    let expected = database::closure(&stage.database(), stage.store.store_dir(), &texts[..1]);
    assert_eq!(read.closure, expected.expect("the database").closure);
}

#[test]
fn makes_no_store_where_there_is_none() {
    let stage = Stage::rooted();
    let path = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-app".parse().expect("a store path");
    let error = stage.store.closure(&[path]).expect_err("no store");
    assert!(matches!(error, ReadClosureError::NoNix { .. }), "{error:?}");
    assert!(!stage.store.root().expect("a root").exists());
}

#[test]
fn names_a_path_that_is_not_valid_with_every_reason() {
    let stage = Stage::rooted();
    stage.texts();
    let missing = stage.parse("/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-missing");
    let error = stage.store.closure(&[missing]).expect_err("no such path");
    let ReadClosureError::NotValid { path, sources } = &error else { panic!("{error:?}") };
    assert_eq!(path, "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-missing");
    let reasons = sources.to_string();
    for reason in [
        "the database says: /nix/store/",
        "nix path-info says: /nix/store/",
        "the daemon says: cannot connect",
    ] {
        assert!(reasons.contains(reason), "{reasons}");
    }
}

#[test]
fn hashes_a_tree_as_nix_dumps_it() {
    let stage = Stage::rooted();
    let tree = stage.folder().join("tree");
    std::fs::create_dir_all(tree.join("sub/empty")).expect("a folder");
    for (name, size) in [("a", 0), ("sub/b", 7), ("sub/c", 8), ("z", 200_000)] {
        std::fs::write(tree.join(name), vec![b'x'; size]).expect("a file");
    }
    std::os::unix::fs::symlink("../nowhere", tree.join("sub/link")).expect("a symlink");
    let dumped = stage.run("nix-hash", &["--type", "sha256", "--base32", "tree"]);
    let expected: NarHash = format!("sha256:{dumped}").parse().expect("a hash");
    assert_eq!(nar::hash_location(&tree).expect("a readable tree").0, expected);
}
