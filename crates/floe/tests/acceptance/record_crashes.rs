//! Killed between any two steps, the record names only what is there and kept, and garbage collection clears the rest.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::generations::Shop;
use crate::program::{answer, program, succeed, text};

/// The system calls that change directories: between two of them lies each state that a kill can leave.
const STEPS: [&str; 6] = ["rename", "symlink", "unlink", "unlinkat", "mkdir", "rmdir"];

/// No command makes any of these calls more often in one thread.
const MOST_CALLS: usize = 60;

/// The only signal that nothing can hold up.
const SIGKILL: i32 = 9;

/// Kills a command at its first step, its second, and so on, each time from the same beginning; looks at what is
/// left each time, and returns how often it was killed.
fn killed_at_each_step(shop: &Shop, command: &dyn Fn() -> Command, look: &dyn Fn()) -> usize {
    let (data, saved) = (shop.desk.data(), shop.desk.path("saved"));
    copy(&data, &saved);
    let mut killed = 0;
    for step in STEPS {
        // strace counts each call of its own.
        let survived = (1..MOST_CALLS).find(|number| {
            let survives = !killed_at(step, *number, &command());
            if !survives {
                look();
                killed += 1;
            }
            fs::remove_dir_all(&data).expect("the record");
            copy(&saved, &data);
            survives
        });
        assert!(survived.is_some(), "more than {MOST_CALLS} times {step}");
    }
    succeed(&mut command());
    killed
}

/// Whether a command lives to make a system call so often; it is killed at it.
fn killed_at(call: &str, number: usize, floe: &Command) -> bool {
    let mut strace = program("strace", &["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=SIGKILL:when={number}")]);
    strace.arg(floe.get_program()).args(floe.get_args());
    strace.current_dir(floe.get_current_dir().expect("floe works in a folder"));
    for (name, value) in floe.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    let output = strace.output().expect("strace starts");
    let killed = output.status.signal() == Some(SIGKILL);
    assert!(
        killed || output.status.success(),
        "{call} {number}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    killed
}

fn copy(from: &Path, to: &Path) {
    answer(program("cp", &["-a", "--no-target-directory"]).arg(from).arg(to));
}

/// Everything that the histories name loads after both garbage collectors have run, and then nothing is left over.
fn is_sound(shop: &Shop, names: &[&str], generations: std::ops::RangeInclusive<usize>) {
    succeed(&mut shop.desk.floe(&["gc"]));
    shop.collect_garbage();
    let mut found = 0;
    for name in names {
        found += shop.history(name).len();
        shop.every_generation_loads(name);
    }
    assert!(generations.contains(&found), "{found} generations");
    let roots = links(&shop.desk.data().join("floe/roots"));
    assert_eq!(roots.len(), found, "a root for each generation: {roots:?}");
    assert_eq!(succeed(&mut shop.desk.floe(&["gc"])).stderr, "nothing to remove\n");
}

/// Every link below a folder.
fn links(folder: &Path) -> Vec<PathBuf> {
    let found = answer(program("find", &[text(folder), "-type", "l"]).env("LC_ALL", "C"));
    found.lines().map(PathBuf::from).collect()
}

#[test]
fn while_a_generation_is_added() {
    let shop = Shop::new();
    let [first, second] = ["1", "2"].map(|version| shop.package(version));
    succeed(&mut shop.build(&first, &["--name", "app"]));
    let keep = shop.desk.path("keep");
    answer(
        shop.store.command("nix-store").args(["--realise", &second, "--indirect", "--add-root"]).arg(keep),
    );
    let build = || shop.build(&second, &["--name", "app", "--quiet"]);
    let killed = killed_at_each_step(&shop, &build, &|| is_sound(&shop, &["app"], 1..=2));
    assert!(killed > 10, "{killed}");
    is_sound(&shop, &["app"], 2..=2);
}

#[test]
fn while_generations_are_removed() {
    let shop = Shop::new();
    let packages = ["1", "2", "3"].map(|version| shop.package(version));
    for package in &packages {
        succeed(&mut shop.build(package, &["--name", "app"]));
        let keep = shop.desk.path(&format!("keep-{}", &package[package.len() - 1..]));
        answer(
            shop.store
                .command("nix-store")
                .args(["--realise", package, "--indirect", "--add-root"])
                .arg(keep),
        );
    }
    let remove = || shop.desk.floe(&["remove", "--keep", "0", "--quiet"]);
    let killed = killed_at_each_step(&shop, &remove, &|| is_sound(&shop, &["app"], 1..=3));
    assert!(killed > 5, "{killed}");
    is_sound(&shop, &["app"], 1..=1);
}

#[test]
fn while_an_old_record_is_rewritten() {
    let shop = Shop::new();
    let names = ["app:1.0", "team/app:latest"];
    for (version, name) in names.iter().enumerate() {
        let package = shop.package(&version.to_string());
        let (name, tag) = name.split_once(':').expect("a tag");
        succeed(&mut shop.build(&package, &["--name", name, "--tag", tag]));
    }
    let digests = |shop: &Shop| -> Vec<Value> {
        let images = answer(&mut shop.desk.floe(&["images", "--json"]));
        let images = images.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        images.map(|image| json!([image["name"], image["tag"], image["digest"]])).collect()
    };
    let expected = digests(&shop);
    age(&shop.desk.data().join("floe"), &names);
    let list = || shop.desk.floe(&["images", "--quiet"]);
    let look = || {
        assert_eq!(digests(&shop), expected);
        is_sound(&shop, &["app", "team/app"], 2..=2);
    };
    let killed = killed_at_each_step(&shop, &list, &look);
    assert!(killed > 20, "{killed}");
    look();
    assert!(!shop.desk.data().join("floe/images/app/_tags").exists());
}

/// Gives a record the form that it had before there were generations.
fn age(data: &Path, names: &[&str]) {
    for name in names {
        let (repository, tag) = name.split_once(':').expect("a tag");
        let directory = data.join("images").join(repository);
        let history: Value =
            serde_json::from_slice(&fs::read(directory.join("_history.json")).expect("a history"))
                .expect("JSON");
        let number = history["tags"][tag][0].to_string();
        fs::create_dir_all(directory.join("_tags")).expect("a folder");
        fs::rename(
            directory.join("_generations").join(format!("{number}.json")),
            directory.join("_tags").join(format!("{tag}.json")),
        )
        .expect("a document");
        let roots = data.join("roots").join(repository).join("_generations").join(&number);
        let old = data.join("roots").join(name.replace(['/', ':'], "_"));
        fs::rename(roots, old).expect("a folder of roots");
    }
    for repository in ["app", "team/app"] {
        let directory = data.join("images").join(repository);
        fs::remove_file(directory.join("_history.json")).expect("a history");
        fs::remove_dir(directory.join("_generations")).expect("an empty folder");
        fs::remove_dir(data.join("roots").join(repository).join("_generations")).expect("an empty folder");
    }
    fs::remove_file(data.join("images/format")).expect("a format");
}
