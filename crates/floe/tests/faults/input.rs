//! Bad input: one line that says what is wrong, its cause, a hint, and the exit code that `floe --help` documents.
//!
//! Words that the command line itself refuses, and malformed `floe.toml`, are in the binary `it`.

use std::fs;

use crate::house::{House, files_and_directories, plain_directory};

/// Runs each and writes down its exit code and what it said; nothing may be left.
fn transcript(cases: &[&[&str]]) -> String {
    let house = House::new();
    plain_directory(&house.path("app"), 1, 8, 1);
    fs::create_dir(house.path("other")).expect("a directory");
    fs::write(house.path("other/letter"), "dear").expect("a file");
    let mut shown = String::new();
    for words in cases {
        let (code, error) = house.failure(words);
        assert!(error.starts_with("error: "), "{words:?}: {error}");
        assert!(error.contains("\nhint: "), "{words:?} has no hint: {error}");
        shown.push_str(&format!("$ floe {}\n{error}exit code: {code}\n\n", words.join(" ")));
    }
    let mut left = files_and_directories(house.path("").as_path());
    left.retain(|path| {
        !["cache", "app", "other", "data"].iter().any(|name| path.starts_with(house.path(name)))
    });
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
    shown
}

#[test]
fn destinations() {
    insta::assert_snapshot!(transcript(&[
        &["build", "app", "--to", "floppy:disk"],
        &["build", "app", "--to", "oci:"],
        &["build", "app", "--to", "oci:layout:ta%g"],
        &["build", "app", "--to", "podman:App"],
        &["build", "app", "--to", "docker://example.com//app"],
        &["build", "app", "--to", "docker-archive:missing/app.tar"],
        &["build", "app", "--to", "docker-archive:other"],
        &["build", "app", "--to", "oci:other"],
        &["build", "app", "--to", "oci:other/letter/layout"],
        &["build", "app", "--to", "oci:/proc/layout"],
    ]), @r#"
    $ floe build app --to floppy:disk
    error: 'floppy:disk' is not a destination: expected oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, - (standard output), podman:[NAME], docker:[NAME], containerd:[NAME], docker://REFERENCE or recorded:[NAME]
    hint: write a layout with oci:DIR, a file with docker-archive:FILE, or load it: podman:
    exit code: 2

    $ floe build app --to oci:
    error: 'oci:' names no path: expected oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, - (standard output), podman:[NAME], docker:[NAME], containerd:[NAME], docker://REFERENCE or recorded:[NAME]
    hint: write a layout with oci:DIR, a file with docker-archive:FILE, or load it: podman:
    exit code: 2

    $ floe build app --to oci:layout:ta%g
    error: 'oci:layout:ta%g' ends with the tag 'ta%g': expected 1 to 128 letters, digits, '_', '.' or '-', or a '/' at the end of a directory with a colon
    hint: write a tag such as 1.0: oci:images:1.0
    exit code: 2

    $ floe build app --to podman:App
    error: 'podman:App' names no image
      caused by: cannot use 'App' as an image's name
      caused by: 'App' is not an image reference: a repository is written in lower case
    hint: images are called such as app, team/app:1.0 or registry.example.com/team/app:1.0
    exit code: 2

    $ floe build app --to docker://example.com//app
    error: 'docker://example.com//app' names no image in a registry
      caused by: 'example.com//app' is not an image reference: a repository's parts are letters and digits, joined by '.', '_', '__' or '-'
    hint: images are called such as app, team/app:1.0 or registry.example.com/team/app:1.0
    exit code: 2

    $ floe build app --to docker-archive:missing/app.tar
    error: cannot write into missing
      caused by: No such file or directory (os error 2)
    hint: make the directory that it goes into first
    exit code: 1

    $ floe build app --to docker-archive:other
    error: cannot write other
      caused by: is a directory
    hint: name a file in it, or write a layout: oci:DIR
    exit code: 1

    $ floe build app --to oci:other
    error: 'other' is neither empty nor an OCI layout: expected a new or empty directory, or one with 'oci-layout'
    hint: name a new directory: oci:DIR writes nothing into a directory of other things
    exit code: 1

    $ floe build app --to oci:other/letter/layout
    error: cannot create other/letter/layout
      caused by: Not a directory (os error 20)
    hint: name a path whose parents are directories
    exit code: 1

    $ floe build app --to oci:/proc/layout
    error: cannot create /proc/layout
      caused by: No such file or directory (os error 2)
    hint: make the directory that it goes into first
    exit code: 1
    "#);
}

#[test]
fn contents() {
    insta::assert_snapshot!(transcript(&[
        &["build"],
        &["build", "--to", "oci:layout"],
        &["build", "missing"],
        &["build", "/nix/store/misnamed"],
        &["build", "/"],
        &["build", "app", "--max-layers", "128"],
        &["build", "app", "--max-layers", "1"],
        &["plan", "app", "--max-layers", "128"],
        &["build", "app", "--tag", "1:2"],
        &["build", "app", "--name", "App"],
    ]), @r#"
    $ floe build
    error: nothing to put into an image: expected IMAGE or CONTENTS
    hint: name contents, such as `floe build ./result` or `floe build .#app`
    hint: or describe the image in a floe.toml: [image.app]
    exit code: 2

    $ floe build --to oci:layout
    error: nothing to put into an image: expected IMAGE or CONTENTS
    hint: name contents, such as `floe build ./result` or `floe build .#app`
    hint: or describe the image in a floe.toml: [image.app]
    exit code: 2

    $ floe build missing
    error: no image 'missing': there is no floe.toml here or in a parent directory
    hint: for a directory write ./missing, for a flake's package .#missing
    exit code: 2

    $ floe build /nix/store/misnamed
    error: /nix/store/misnamed names no store path
      caused by: 'misnamed' is not a store path: expected <32 base-32 digits>-<name>
    hint: name a store path such as /nix/store/<hash>-<name>, or a link to one
    exit code: 1

    $ floe build /
    error: cannot tell the name of /
      caused by: the root directory has no name
    hint: a plain directory needs a readable tree and a name that Nix allows
    exit code: 1

    $ floe build app --max-layers 128
    error: invalid value '128' for '--max-layers <NUMBER>': expected a number from 2 to 127
    hint: `floe build --help` says what is taken, with examples
    exit code: 2

    $ floe build app --max-layers 1
    error: invalid value '1' for '--max-layers <NUMBER>': expected a number from 2 to 127
    hint: `floe build --help` says what is taken, with examples
    exit code: 2

    $ floe plan app --max-layers 128
    error: invalid value '128' for '--max-layers <NUMBER>': expected a number from 2 to 127
    hint: `floe plan --help` says what is taken, with examples
    exit code: 2

    $ floe build app --tag 1:2
    error: invalid value '1:2' for '--tag <TAG>': expected 1 to 128 letters, digits, '_', '.' or '-', beginning with none of '.', '-'
    hint: `floe build --help` says what is taken, with examples
    exit code: 2

    $ floe build app --name App
    error: invalid value 'App' for '--name <NAME>': expected lower-case words such as app, team/app or registry.example.com/team/app
    hint: `floe build --help` says what is taken, with examples
    exit code: 2
    "#);
}

#[test]
fn what_nix_does_not_know() {
    let house = House::new();
    let path = "/nix/store/00000000000000000000000000000000-missing";
    let flake = house.path("").display().to_string();
    for (contents, expected) in [
        (path.to_owned(), format!("error: {path} is not a valid store path: expected one that is built")),
        (
            format!("path:{flake}#app"),
            "error: cannot build path:$DIR/#app\n  caused by: nix build failed".to_owned(),
        ),
    ] {
        let (code, error) = house.failure(&["build", "--quiet", &contents, "--to", "oci:layout"]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains(&expected) && error.contains("\nhint: "), "{error}");
        assert!(!house.path("layout").exists());
    }
}

#[test]
fn recorded_images() {
    insta::assert_snapshot!(transcript(&[
        &["export", "app", "app.tar"],
        &["load", "podman", "app"],
        &["run"],
        &["remove", "app"],
        &["export", "App", "app.tar"],
    ]), @r#"
    $ floe export app app.tar
    error: no image 'app:latest' is recorded
    hint: nothing is recorded yet: floe build ./result
    exit code: 1

    $ floe load podman app
    error: no image 'app:latest' is recorded
    hint: nothing is recorded yet: floe build ./result
    exit code: 1

    $ floe run
    error: no image is recorded
    hint: make one: floe build ./result
    exit code: 2

    $ floe remove app
    error: no image 'app:latest' is recorded
    hint: nothing is recorded yet: floe build ./result
    exit code: 1

    $ floe export App app.tar
    error: cannot use 'App' as an image's name
      caused by: 'App' is not an image reference: a repository is written in lower case
    hint: images are called such as app, team/app:1.0 or registry.example.com/team/app:1.0
    exit code: 2
    "#);
}
