//! `floe gc`: what nobody needs goes, says its bytes beforehand, and comes back where it is needed after all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::generations::Shop;
use crate::program::{answer, succeed, text};

/// What `floe gc` with these words counts, by kind.
fn counted(shop: &Shop, words: &[&str]) -> Value {
    let report = answer(shop.desk.floe(&["gc", "--json"]).args(words));
    serde_json::from_str(&report).expect("JSON")
}

/// The files below a folder; none where there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Says of files that they were last used two months ago.
fn age(files: &[PathBuf]) {
    let long_ago = SystemTime::now() - Duration::from_secs(60 * 24 * 3600);
    for path in files {
        let file = File::options().write(true).open(path).expect("it is there");
        file.set_modified(long_ago).expect("it is ours");
    }
}

#[test]
fn shows_bytes_first_and_takes_nothing_that_is_needed() {
    let shop = Shop::new();
    succeed(&mut shop.build(&shop.package("1"), &["--name", "app"]));
    let before = shop.history("app");
    let memo = files(&shop.desk.cache().join("floe/memo"));
    assert!(!memo.is_empty());
    age(&memo[..1]);
    let size = |paths: &[PathBuf]| -> u64 {
        paths.iter().map(|path| fs::metadata(path).expect("it is there").len()).sum()
    };
    let blobs = || -> Vec<PathBuf> {
        let is_blob = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 64);
        files(&shop.desk.cache().join("floe/blobs")).into_iter().filter(is_blob).collect()
    };

    let memo_size = size(&memo[..1]);
    for dry_run in [true, false] {
        let words: &[&str] = if dry_run { &["--no-cache", "--dry-run"] } else { &["--no-cache"] };
        let expected = size(&blobs());
        let found = counted(&shop, words);
        assert_eq!((&found["memo"]["count"], &found["memo"]["size"]), (&1.into(), &memo_size.into()));
        assert_eq!(found["blobs"]["size"], expected, "{found}");
        assert_eq!((&found["roots"]["count"], &found["layers"]["count"]), (&0.into(), &0.into()));
        assert_eq!(memo[0].exists(), dry_run, "a dry run takes nothing");
        assert_eq!(blobs().is_empty(), !dry_run);
    }
    assert!(memo[1..].iter().all(|path| path.exists()), "only what is old goes");
    assert_eq!(shop.history("app"), before);
    shop.every_generation_loads("app");
}

#[test]
fn layers_of_a_base_stay_while_an_image_is_built_upon_them() {
    let shop = Shop::new();
    shop.desk.write("base/etc/motd", "hello");
    succeed(&mut shop.desk.floe(&["build", "./base", "--root", "./base", "--to", "oci:debian:12"]));
    shop.desk.write("page/index.html", "<h1>hello</h1>");
    succeed(&mut shop.desk.floe(&["build", "./page", "--name", "page", "--base", "oci:debian:12"]));
    let layers = || files(&shop.desk.data().join("floe/layers"));
    let kept = layers().into_iter().filter(|path| !text(path).ends_with(".lock")).collect::<Vec<_>>();
    assert!(!kept.is_empty(), "a layout may vanish, so its layers are kept");
    age(&kept);
    assert_eq!(counted(&shop, &[])["layers"]["count"], 0);
    fs::remove_dir_all(shop.desk.path("debian")).expect("the layout");
    shop.every_generation_loads("page");

    succeed(&mut shop.desk.floe(&["remove", "page"]));
    age(&kept);
    let planned = counted(&shop, &["--dry-run"]);
    assert_eq!(planned["layers"]["count"], kept.len());
    assert!(kept.iter().all(|path| path.exists()));
    counted(&shop, &[]);
    assert!(kept.iter().all(|path| !path.exists()), "{:?}", layers());
}

#[test]
fn layers_that_a_build_may_be_about_to_record_stay() {
    let shop = Shop::new();
    let young = shop.desk.data().join("floe/layers").join("a".repeat(64));
    fs::create_dir_all(young.parent().expect("a folder")).expect("a folder");
    fs::write(&young, "a layer of a build under way").expect("a file");
    succeed(&mut shop.build(&shop.package("1"), &["--name", "app"]));
    assert_eq!(counted(&shop, &[])["layers"]["count"], 0);
    assert!(young.exists());
    age(std::slice::from_ref(&young));
    assert_eq!(counted(&shop, &[])["layers"]["count"], 1);
    assert!(!young.exists());
}
