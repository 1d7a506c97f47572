//! Every flag, and which image is meant.

use std::path::Path;

use clap::{CommandFactory, Parser};

use super::command_line::Command;
use super::*;
use crate::configuration::{Configuration, ImageOptions};
use crate::failure::Outcome;

fn select(words: &str, directory: &Path) -> Outcome<Selection> {
    let words = ["floe", "plan"].into_iter().chain(words.split_whitespace());
    match CommandLine::try_parse_from(words).expect("a command line").command {
        Command::Plan(arguments) => arguments.selection.select(directory),
        other => panic!("expected plan, found {other:?}"),
    }
}

fn write(directory: &Path, text: &str) {
    std::fs::write(directory.join("floe.toml"), text).expect("a writable directory");
}

#[test]
fn the_command_line_is_consistent() {
    CommandLine::command().debug_assert();
}

#[test]
fn flags_say_what_the_file_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let flags = "/srv/app --name team/app --tag 1.0 --base oci:base:1 --base-without cmd --base-without env.A --root /srv/app --root-conflicts first --add-file /etc/motd=hello \
        --entrypoint /bin/app --cmd --port --cmd 3000 --env A=1 --env B=2 --required-env C --user 5:6 --workdir /srv \
        --port 3000 --port 53/udp --volume /data --label a=1 --annotation b=2 --stop-signal INT --healthcheck /bin/check \
        --healthcheck-interval 1s --healthcheck-timeout 2s --healthcheck-start-period 3s --healthcheck-retries 4 \
        --created 7 --platform aarch64-linux --system aarch64-linux --layering popularity --max-layers 9 --frequencies /srv/changes --compression gzip:1";
    let text = r#"
        [image.app]
        contents = ["/srv/app"]
        name = "team/app"
        tag = "1.0"
        base = "oci:base:1"
        base-without = ["cmd", "env.A"]
        root = ["/srv/app"]
        root-conflicts = "first"
        files = { "/etc/motd" = "hello" }
        entrypoint = ["/bin/app"]
        cmd = ["--port", "3000"]
        env = { A = "1", B = "2" }
        required-env = ["C"]
        user = "5:6"
        workdir = "/srv"
        ports = [3000, "53/udp"]
        volumes = ["/data"]
        labels = { a = "1" }
        annotations = { b = "2" }
        stop-signal = "INT"
        healthcheck = { test = ["/bin/check"], interval = "1s", timeout = "2s", start-period = "3s", retries = 4 }
        created = 7
        platform = "aarch64-linux"
        systems = ["aarch64-linux"]
        layering = "popularity"
        max-layers = 9
        frequencies = "/srv/changes"
        compression = "gzip:1"
    "#;
    let selection = select(flags, directory.path()).expect("a selection");
    let file = Configuration::parse("floe.toml", text).expect("a configuration");
    assert_eq!(Some(&selection.options), file.image("app").as_ref());
    // Nothing is left out of the comparison: every field has a value.
    let ImageOptions { env, labels, annotations, .. } = &selection.options;
    assert!(!env.is_empty() && !labels.is_empty() && !annotations.is_empty());
    assert!(
        !format!("{:?}", ImageOptions { healthcheck: None, ..selection.options.clone() })
            .replace("healthcheck: None", "")
            .replace("variant: None", "")
            .replace("key: None", "")
            .contains("None")
    );
}

#[test]
fn flags_win_over_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    write(
        directory.path(),
        "[image.app]\ncontents = ['./result']\ntag = '1'\ncmd = ['a', 'b']\nenv = { A = '1', B = '1' }",
    );
    let options = select("app --tag 2 --cmd c --env B=2", directory.path()).expect("a selection").options;
    assert_eq!(options.tag.as_deref(), Some("2"));
    assert_eq!(options.cmd, Some(vec!["c".to_owned()]));
    let env: Vec<String> = options.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["A=1", "B=2"]);
}

#[test]
fn tells_the_image_from_contents() {
    let directory = tempfile::tempdir().expect("a directory");
    let nested = directory.path().join("src/deep");
    std::fs::create_dir_all(&nested).expect("a writable directory");
    let here = directory.path().display();
    let describe = |words: &str, directory: &Path| match select(words, directory) {
        Ok(selection) => {
            let contents: Vec<String> =
                selection.options.contents.iter().flatten().map(ToString::to_string).collect();
            format!("{} [{}]", selection.entry.as_deref().unwrap_or("-"), contents.join(" "))
        }
        Err(failure) => format!("{}: {}", failure.error, failure.hints.first().map_or("", String::as_str)),
    };
    let missing = "no image 'app': there is no floe.toml here or in a parent directory: \
                   for a directory write ./app, for a flake's package .#app";
    assert_eq!(describe("app", directory.path()), missing);
    write(directory.path(), "[image.app]\ncontents = ['./result', '.#x', 'nixpkgs#hello', '/abs']");
    for (words, expected) in [
        ("", format!("app [{here}/./result {here}/.#x nixpkgs#hello /abs]")),
        ("app", format!("app [{here}/./result {here}/.#x nixpkgs#hello /abs]")),
        ("app ./other", "app [./other]".to_owned()),
        ("./result", "- [./result]".to_owned()),
        (".#app", "- [.#app]".to_owned()),
        ("src", "- [src]".to_owned()),
        ("aap", "no image 'aap' in floe.toml: did you mean 'app'?".to_owned()),
        ("something", "no image 'something' in floe.toml: the images are: app".to_owned()),
    ] {
        assert_eq!(describe(words, directory.path()), expected, "{words}");
    }
    assert_eq!(describe("", &nested), format!("app [{here}/./result {here}/.#x nixpkgs#hello /abs]"));
    write(directory.path(), "[image.a]\n[image.b]\n");
    assert_eq!(
        describe("", directory.path()),
        "floe.toml has 2 images: expected the name of one: name one of: a, b"
    );
    assert_eq!(
        describe("a", directory.path()),
        "image 'a' has no contents: say what it holds: contents = [\"./result\"]"
    );
}
