//! Which files of the store a build opens, as the kernel sees it: each at most once, and none that the memo knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use floe_testkit::machine::{nix_command, run_for_output};

use crate::house::{House, NODE_SERVER, plain_directory, text};

/// What a build opened, and how often.
pub(crate) struct Opened(BTreeMap<PathBuf, usize>);

impl Opened {
    /// Paths below a directory that are files or symlinks' targets, but no directories.
    pub(crate) fn files_below<'a>(&'a self, directory: &'a Path) -> impl Iterator<Item = (&'a Path, usize)> {
        let below = self.0.iter().filter(move |(path, _)| path.starts_with(directory) && !path.is_dir());
        below.map(|(path, times)| (path.as_path(), *times))
    }

    /// The store paths of which anything was opened, directories included.
    pub(crate) fn store_paths(&self) -> Vec<&Path> {
        let mut paths: Vec<&Path> = self
            .0
            .keys()
            .filter(|path| path.starts_with("/nix/store/") && *path != Path::new("/nix/store"))
            .map(|path| {
                let depth = path.components().count();
                path.ancestors().nth(depth - 4).expect("/, nix, store and the name")
            })
            .collect();
        paths.dedup();
        paths
    }

    /// The same without derivations: the one that made a changed root says which system it is for.
    pub(crate) fn outputs(&self) -> Vec<&Path> {
        let mut paths = self.store_paths();
        paths.retain(|path| path.extension().is_none_or(|extension| extension != "drv"));
        paths
    }
}

/// Builds under strace, which writes each descriptor with its path.
pub(crate) fn trace(house: &House, words: &[&str]) -> Opened {
    let trace = house.path("trace");
    let mut strace = house.command("strace");
    strace
        .args(["-f", "-y", "-qq", "-s", "4096", "--signal=none", "-e", "trace=open,openat,openat2", "-o"])
        .arg(&trace)
        .args([env!("CARGO_BIN_EXE_floe"), "build", "--quiet"])
        .args(words);
    let output = match strace.output() {
        Err(error) => panic!("strace does not start ({error}): apt-get install strace"),
        Ok(output) => output,
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut opened = BTreeMap::new();
    for line in fs::read_to_string(&trace).expect("strace wrote a trace").lines() {
        // 123 openat(4</nix/store/…>, "file", O_RDONLY) = 5</nix/store/…/file>
        let result = line.rsplit_once(" = ").map_or("", |(_, result)| result);
        if let Some((_, path)) = result.trim_end().trim_end_matches('>').split_once('<') {
            *opened.entry(PathBuf::from(path)).or_default() += 1;
        }
    }
    assert!(opened.keys().any(|path| path.starts_with(house.path("cache"))), "the trace shows paths");
    Opened(opened)
}

/// The example Node server with a change to its own code, built by Nix; `result` in the house leads to it.
pub(crate) fn build_changed_server(house: &House) -> PathBuf {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/node-server");
    let changed = house.path("changed");
    fs::create_dir(&changed).expect("a directory");
    for name in ["flake.nix", "package.nix", "server.js"] {
        let text = fs::read_to_string(example.join(name)).expect("a file of the example");
        let text = if name == "server.js" { text + "// changed\n" } else { text };
        fs::write(changed.join(name), text).expect("a copy");
    }
    let flake = floe_testkit::debian::node_closure().unwrap_or_else(|error| panic!("{error:?}")).flake;
    let mut build = nix_command("nix");
    build
        .args(["build", "--json", "--no-write-lock-file", "--out-link"])
        .arg(house.path("result"))
        .arg(format!("path:{}", changed.display()))
        .args(["--override-input", "nixpkgs"])
        .arg(format!("path:{}", flake.display()));
    run_for_output(&mut build).unwrap_or_else(|error| panic!("{error:?}"));
    let server = fs::read_link(house.path("result")).expect("Nix made a link");
    assert_ne!(server, *NODE_SERVER);
    server
}

#[test]
fn a_repeated_build_opens_no_file_of_the_store() {
    let house = House::new();
    let node = NODE_SERVER.display().to_string();
    let cold = trace(&house, &[&node, "--to", "oci:layout"]);
    let read = cold.files_below(Path::new("/nix/store")).count();
    assert!(read > 100, "a cold build reads the store, and the trace shows it: {read} files");
    for destination in ["oci:layout", "oci:layout:again"] {
        let warm = trace(&house, &[&node, "--to", destination]);
        assert_eq!(warm.store_paths(), Vec::<&Path>::new(), "{destination}");
    }
    // The same for the record.
    trace(&house, &[&node]);
    let warm = trace(&house, &[&node]);
    assert_eq!(warm.store_paths(), Vec::<&Path>::new());
}

#[test]
fn after_a_change_only_what_changed_is_opened() {
    let house = House::new();
    let server = build_changed_server(&house);
    let node = NODE_SERVER.display().to_string();
    house.build(&[&node, "--name", "app", "--to", "oci:layout"]);
    let opened = trace(&house, &["result", "--name", "app", "--to", "oci:layout"]);
    assert_eq!(opened.outputs(), [server.as_path()]);
}

#[test]
fn after_a_plain_directory_changed_only_its_layer_is_read() {
    let house = House::new();
    let page = house.path("page");
    plain_directory(&page, 5, 1000, 1);
    let node = NODE_SERVER.display().to_string();
    let words = [node.as_str(), "page", "--to", "oci:layout"];
    house.build(&words);
    plain_directory(&page, 5, 1000, 2);
    let opened = trace(&house, &words);
    // Both were asked for, so they share the application's layer; the runtime is not looked at.
    assert_eq!(opened.outputs(), [NODE_SERVER.as_path()]);
    assert_eq!(opened.files_below(&page).count(), 5);
}
