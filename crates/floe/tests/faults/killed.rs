//! Killed at any moment: no part of an image is left where images are looked for, and the next run succeeds.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::house::{
    House, NODE_SERVER, Numbers, archive_files, check_images, files_and_directories, layout_files, name_of,
    only_image, plain_directory, text,
};

/// Where the image goes.
#[derive(Clone, Copy, Debug)]
enum Place {
    Layout,
    Archive,
    Record,
}

/// Kills on the large closure, where most of the time is packing, and on a small directory, where most of it is
/// publishing.
const KILLS: [u64; 2] = [4, 16];

/// After so many runs, one is let through.
const KILLS_IN_A_ROW: u64 = 3;

#[test]
fn layouts() {
    check(Place::Layout, 0x1);
}

#[test]
fn archives() {
    check(Place::Archive, 0x2);
}

#[test]
fn recordings() {
    check(Place::Record, 0x3);
}

fn check(place: Place, seed: u64) {
    let house = House::new();
    let small = house.path("small");
    plain_directory(&small, 40, 40_000, seed);
    let mut numbers = Numbers(seed);
    for (contents, kills) in [NODE_SERVER.as_path(), &small].into_iter().zip(KILLS) {
        kill_many(place, contents, kills, &mut numbers);
    }
}

fn kill_many(place: Place, contents: &Path, kills: u64, numbers: &mut Numbers) {
    let undisturbed = House::new();
    fs::create_dir(undisturbed.path("out")).expect("a directory");
    let started = Instant::now();
    let expected = undisturbed.build(&words(place, contents));
    let mut duration = started.elapsed();

    let house = House::new();
    let (mut killed, mut round) = (0, 0);
    while killed < kills {
        round += 1;
        assert!(round <= kills * 4, "{killed} runs of {round} were killed: the others were too fast");
        // One in three dies near its end, where the destination is changed.
        let earliest = if numbers.below(3) == 0 { duration.mul_f64(0.8) } else { Duration::ZERO };
        let window = u64::try_from((duration - earliest).as_micros()).expect("less than centuries");
        let after = earliest + Duration::from_micros(numbers.below(window.max(1)));
        if kill_one(&house, &words(place, contents), after) {
            killed += 1;
        } else {
            // It was faster than the first one: aim better.
            duration = duration.mul_f64(0.7);
        }
        look(&house, place, &expected);
        if round % KILLS_IN_A_ROW == 0 || killed == kills {
            assert_eq!(house.build(&words(place, contents)), expected, "round {round} of {place:?}");
            assert!(finished(&house, place, &expected), "round {round} of {place:?}");
            assert_eq!(house.leftovers(), Vec::<std::path::PathBuf>::new());
            clear(&house, place, numbers);
        }
    }
}

/// The words of `floe build`.
fn words(place: Place, contents: &Path) -> Vec<String> {
    let mut words = vec![contents.display().to_string(), "--name".to_owned(), "app".to_owned()];
    match place {
        Place::Layout => words.extend(["--to", "oci:out/layout"].map(str::to_owned)),
        Place::Archive => words.extend(["--to", "docker-archive:out/app.tar"].map(str::to_owned)),
        Place::Record => {}
    }
    words
}

/// Starts a build and kills it; `false` when it was faster.
fn kill_one(house: &House, words: &[String], after: Duration) -> bool {
    fs::create_dir_all(house.path("out")).expect("a directory");
    let mut floe = house.floe(&["build", "--quiet"]);
    let mut child =
        floe.args(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("floe starts");
    sleep(after);
    child.kill().expect("it can be killed");
    let output = child.wait_with_output().expect("it ends");
    // Whoever was not killed has done its work.
    assert!(output.status.success() || output.status.code().is_none(), "{}", text(&output.stderr));
    output.status.code().is_none()
}

/// What a killed run leaves is whole wherever somebody may look.
fn look(house: &House, place: Place, expected: &str) {
    house.check_memo();
    for blob in fs::read_dir(house.cache().join("blobs")).into_iter().flatten() {
        let blob = blob.expect("an entry").path();
        if blob.is_file() && name_of(&blob) != ".lock" {
            let bytes = fs::read(&blob).expect("a blob");
            assert_eq!(floe_image::oci::Digest::of(&bytes).hex(), name_of(&blob));
        }
    }
    finished(house, place, expected);
}

/// Whether the image is there; if so, it is the right one.
fn finished(house: &House, place: Place, expected: &str) -> bool {
    match place {
        Place::Layout => {
            let layout = house.path("out/layout");
            for path in
                fs::read_dir(&layout).into_iter().flatten().map(|entry| entry.expect("an entry").path())
            {
                let known = ["blobs", "oci-layout", "index.json"].contains(&name_of(&path));
                assert!(known || name_of(&path).starts_with(".floe-staging-"), "{}", path.display());
            }
            let mut files = layout_files(&layout);
            files.retain(|name, _| !name.starts_with(".floe-staging-"));
            if !files.contains_key("index.json") {
                // Blobs that no index names are nobody's image, and yet they are whole.
                files
                    .entry("oci-layout".to_owned())
                    .or_insert_with(|| br#"{"imageLayoutVersion":"1.0.0"}"#.into());
                files.insert("index.json".to_owned(), br#"{"manifests":[]}"#.into());
                check_images(&files);
                return false;
            }
            assert_eq!(only_image(&files), expected);
        }
        Place::Archive => {
            let archive = house.path("out/app.tar");
            let others = files_and_directories(&house.path("out"));
            let is_stray = |path: &&std::path::PathBuf| {
                **path != archive && !path.display().to_string().contains("/.floe-staging-")
            };
            assert_eq!(others.iter().find(is_stray), None);
            if !archive.exists() {
                return false;
            }
            assert_eq!(only_image(&archive_files(&archive)), expected);
        }
        Place::Record => {
            let output = house.floe(&["images", "--json"]).output().expect("floe runs");
            assert!(output.status.success(), "{}", text(&output.stderr));
            if !text(&output.stdout).contains("app") {
                return false;
            }
            assert!(text(&output.stdout).contains(expected), "{}", text(&output.stdout));
        }
    }
    true
}

/// Makes the next run work again: the image goes, and sometimes the cache with it.
fn clear(house: &House, place: Place, numbers: &mut Numbers) {
    if let Place::Record = place {
        assert!(house.floe(&["remove", "app"]).output().expect("floe runs").status.success());
        assert_eq!(files_and_directories(&house.path("data/floe/roots")), Vec::<std::path::PathBuf>::new());
    }
    fs::remove_dir_all(house.path("out")).expect("the destinations");
    if numbers.below(2) == 0 || matches!(place, Place::Record) {
        fs::remove_dir_all(house.path("cache")).expect("the cache");
    }
}
