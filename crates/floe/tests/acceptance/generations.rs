//! Generations on a real store: what is recorded survives Nix's garbage collector, what was removed does not.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program::{Desk, answer, run, succeed, text};
use crate::store::ChrootStore;

/// A store of its own, and packages in it that differ a little.
pub(crate) struct Shop {
    pub(crate) desk: Desk,
    pub(crate) store: ChrootStore,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let desk = Desk::new();
        let store = ChrootStore::new(&desk.path("root"));
        Self { desk, store }
    }

    /// Adds `tool-<version>` to the store; returns its full path.
    pub(crate) fn package(&self, version: &str) -> String {
        self.desk.write(&format!("tool-{version}/bin/tool"), version);
        self.store.add(&self.desk.path(&format!("tool-{version}")))
    }

    /// floe with these words, which reads this store.
    pub(crate) fn build(&self, contents: &str, words: &[&str]) -> Command {
        let mut floe = self.desk.floe(&["build", contents, "--store", text(&self.store.root)]);
        floe.args(["--entrypoint", "/bin/tool"]).args(words);
        floe
    }

    /// The history of a name, the latest generation first.
    pub(crate) fn history(&self, name: &str) -> Vec<Value> {
        let lines = answer(&mut self.desk.floe(&["history", name, "--json"]));
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Writes each generation to a file without help of a cache: Nix's store has all that it takes.
    pub(crate) fn every_generation_loads(&self, name: &str) {
        for generation in self.history(name) {
            self.forget_blobs();
            let image = format!("{name}@{}", generation["generation"]);
            let exported = succeed(&mut self.desk.floe(&["export", &image, "oci:exported:x", "--json"]));
            let exported: Value = serde_json::from_slice(&exported.stdout).expect("JSON");
            assert_eq!(exported["digest"], generation["digest"], "{image}");
        }
    }

    /// Removes the memo and the blobs, so that images come from the store alone.
    fn forget_blobs(&self) {
        match std::fs::remove_dir_all(self.desk.cache()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }

    /// Lets Nix collect garbage.
    pub(crate) fn collect_garbage(&self) {
        answer(&mut self.store.command("nix-collect-garbage"));
    }

    fn holds(&self, path: &str) -> bool {
        self.store.location(path).exists()
    }
}

/// `generation tags` of each line of a history.
fn summary(history: &[Value]) -> Vec<String> {
    let line = |entry: &Value| {
        let tags = entry["tags"].as_array().expect("tags").iter();
        let tags: Vec<&str> = tags.map(|tag| tag.as_str().expect("a tag")).collect();
        format!("{} {}", entry["generation"], tags.join(" ")).trim_end().to_owned()
    };
    history.iter().map(line).collect()
}

#[test]
fn generations_are_kept_until_they_are_removed() {
    let shop = Shop::new();
    let packages = ["1", "2", "3"].map(|version| shop.package(version));
    let unrelated = shop.package("unrelated");
    for package in &packages {
        succeed(&mut shop.build(package, &["--name", "app"]));
    }
    let again = succeed(&mut shop.build(&packages[2], &["--name", "app"]));
    assert!(again.stderr.contains("recorded as app@3;"), "the same image adds none: {}", again.stderr);
    succeed(&mut shop.build(&packages[1], &["--name", "app", "--tag", "stable"]));
    assert_eq!(summary(&shop.history("app")), ["3 latest", "2 stable", "1"]);

    let nothing = succeed(&mut shop.desk.floe(&["gc"]));
    assert_eq!(nothing.stderr, "nothing to remove\n");
    shop.collect_garbage();
    assert!(!shop.holds(&unrelated), "Nix collects what nobody records");
    shop.every_generation_loads("app");

    // The dry run says what would go, and nothing goes.
    let size = answer(shop.store.command("nix-store").args(["--query", "--size", &packages[0]]));
    let planned = answer(&mut shop.desk.floe(&["remove", "--keep", "0", "--dry-run", "--json"]));
    let planned: Value = serde_json::from_str(&planned).expect("JSON");
    assert_eq!(planned["generations"], Value::from(["app@1"].as_slice()));
    assert_eq!(planned["store-size"].to_string(), size);
    shop.collect_garbage();
    shop.every_generation_loads("app");

    succeed(&mut shop.desk.floe(&["remove", "app@1"]));
    succeed(&mut shop.desk.floe(&["gc"]));
    shop.collect_garbage();
    assert_eq!(packages.each_ref().map(|path| shop.holds(path)), [false, true, true]);
    shop.every_generation_loads("app");
    assert_eq!(summary(&shop.history("app")), ["3 latest", "2 stable"]);

    // A tag goes with the generations that only it had.
    succeed(&mut shop.desk.floe(&["remove", "app"]));
    shop.collect_garbage();
    assert_eq!(packages.each_ref().map(|path| shop.holds(path)), [false, true, false]);
    assert_eq!(summary(&shop.history("app")), ["2 stable"]);
    shop.every_generation_loads("app");
    succeed(&mut shop.desk.floe(&["remove", "app:stable"]));
    shop.collect_garbage();
    assert!(!shop.holds(&packages[1]));
    run(&mut shop.desk.floe(&["history", "app"]), 1);
}

#[test]
fn tags_are_taken_back_and_move_on() {
    let shop = Shop::new();
    for version in ["1", "2", "3"] {
        succeed(&mut shop.build(&shop.package(version), &["--name", "app"]));
    }
    let rollback = |words: &[&str]| {
        let said = succeed(shop.desk.floe(&["rollback", "app"]).args(words));
        said.stderr.trim_end().to_owned()
    };
    assert_eq!(rollback(&[]), "app:latest is app@2 now; it was app@3");
    assert_eq!(rollback(&[]), "app:latest is app@1 now; it was app@2");
    assert_eq!(rollback(&["3"]), "app:latest is app@3 now; it was app@1");
    assert_eq!(rollback(&[]), "app:latest is app@1 now; it was app@3");
    let shown = answer(&mut shop.desk.floe(&["images", "--json"]));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&shown["generation"], &shown["tag"]), (&1.into(), &"latest".into()));
    let next = succeed(&mut shop.build(&shop.package("4"), &["--name", "app"]));
    assert!(next.stderr.contains("recorded as app@4;"), "{}", next.stderr);

    for (words, expected) in [
        (
            &["rollback", "app", "9"] as &[&str],
            "no image 'app@9' is recorded\nhint: app has the generations 1, 2, 3, 4\n",
        ),
        (
            &["rollback", "app@1"],
            "'app@1' is a generation: expected a tag\nhint: the generation stands apart: floe rollback app 3\n",
        ),
        (&["rollback", "other"], "no image 'other:latest' is recorded\nhint: recorded are: app:latest\n"),
        (
            &["remove", "app@4"],
            "cannot remove app@4\n  caused by: generation 4 is what latest names now\n\
             hint: take the tag back first: floe rollback app:latest\n\
             hint: or remove the tag with its generations: floe remove app:latest\n",
        ),
        (
            &["export", "app@7", "x.tar"],
            "no image 'app@7' is recorded\nhint: app has the generations 1, 2, 3, 4\n",
        ),
        (
            &["export", "app:1@7", "x.tar"],
            "'app:1@7' has a tag and a generation: expected one of them, such as app:1.0 or app@3\n\
             hint: `floe history NAME` lists a name's generations\n",
        ),
    ] {
        let code = if expected.contains("expected") { 2 } else { 1 };
        assert_eq!(run(&mut shop.desk.floe(words), code).stderr, format!("error: {expected}"), "{words:?}");
    }
}

#[test]
fn tells_what_changed() {
    let shop = Shop::new();
    let [first, second] = ["1.0", "2.0"].map(|version| shop.package(version));
    succeed(&mut shop.build(&first, &["--name", "app", "--port", "3000"]));
    succeed(&mut shop.build(&second, &["--name", "app", "--env", "MODE=fast"]));
    let difference = answer(&mut shop.desk.floe(&["diff", "app@1", "app@2", "--json"]));
    let difference: Value = serde_json::from_str(&difference).expect("JSON");
    let package = &difference["packages"][0];
    let versions = ["before", "after"].map(|side| package[side]["versions"][0].as_str().expect("a version"));
    assert_eq!((package["name"].as_str(), versions), (Some("tool"), ["1.0", "2.0"]));
    let settings = difference["settings"].as_array().expect("settings").iter();
    let settings: Vec<&str> = settings.map(|setting| setting["name"].as_str().expect("a name")).collect();
    assert_eq!(settings, ["env MODE", "env PATH", "port 3000/tcp"]);
    // What a puller fetches is what the second image's layout has and the first one's does not.
    let blobs = |image: &str, layout: &str| {
        succeed(&mut shop.desk.floe(&["export", image, &format!("oci:{layout}")]));
        layers(&shop.desk.path(layout))
    };
    let (before, after) = (blobs("app@1", "before"), blobs("app@2", "after"));
    let expected: u64 = after.iter().filter(|layer| !before.contains(layer)).map(|(_, size)| size).sum();
    assert_eq!(difference["fetched-size"], expected);
    let shown = answer(&mut shop.desk.floe(&["diff", "app"]));
    assert!(
        shown.lines().any(|line| line.split_whitespace().eq(["tool", "version", "1.0", "2.0", "±0", "B"])),
        "{shown}"
    );
    let history = answer(&mut shop.desk.floe(&["history", "app"]));
    assert!(history.contains("tool 1.0 → 2.0, 3 settings, "), "{history}");
    assert!(answer(&mut shop.desk.floe(&["diff", "app", "app@2"])).starts_with("no difference"));
    run(&mut shop.desk.floe(&["diff", "app@1"]), 1);
}

/// Digest and size of each layer of a layout's only image.
fn layers(layout: &Path) -> Vec<(String, u64)> {
    let read = |path: PathBuf| -> Value {
        serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
    };
    let index = read(layout.join("index.json"));
    let digest = index["manifests"][0]["digest"].as_str().expect("a digest");
    let manifest = read(layout.join("blobs").join(digest.replace(':', "/")));
    let layers = manifest["layers"].as_array().expect("layers").iter();
    layers
        .map(|layer| {
            (layer["digest"].as_str().expect("a digest").to_owned(), layer["size"].as_u64().expect("a size"))
        })
        .collect()
}

#[test]
fn builds_at_the_same_time_get_a_number_each() {
    let shop = Shop::new();
    let packages: Vec<String> = (0..6).map(|version| shop.package(&version.to_string())).collect();
    let builds = packages.iter().map(|package| {
        let mut build = shop.build(package, &["--name", "app", "--json"]);
        build.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        build.spawn().expect("floe starts")
    });
    let builds: Vec<_> = builds.collect();
    let mut numbers: Vec<u64> = Vec::new();
    for build in builds {
        let output = build.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        numbers.push(report["generation"].as_u64().expect("a number"));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    shop.collect_garbage();
    shop.every_generation_loads("app");
    assert_eq!(succeed(&mut shop.desk.floe(&["gc", "--dry-run"])).stderr, "nothing to remove\n");
}

#[test]
fn several_platforms_are_compared_one_by_one() {
    let shop = Shop::new();
    let build = |greeting: &str| {
        shop.desk.write("page/index.html", greeting);
        let words =
            ["build", "./page", "--name", "page", "--system", "x86_64-linux", "--system", "aarch64-linux"];
        succeed(shop.desk.floe(&words).args(["--env", &format!("GREETING={greeting}")]));
    };
    build("good morning");
    build("good evening");
    let compared = answer(&mut shop.desk.floe(&["diff", "page", "--json"]));
    let compared = compared.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let compared: Vec<(Value, Value)> =
        compared.map(|found| (found["platform"].clone(), found["settings"][0]["after"].clone())).collect();
    let expected = ["linux/amd64", "linux/arm64"].map(|platform| (platform.into(), "good evening".into()));
    assert_eq!(compared, expected);
    let shown = answer(&mut shop.desk.floe(&["diff", "page@1", "page@2"]));
    assert!(shown.starts_with("linux/amd64\n") && shown.contains("\nlinux/arm64\n"), "{shown}");
    assert_eq!(summary(&shop.history("page")), ["2 latest", "1"]);
}
