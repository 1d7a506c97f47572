//! Bases that do not suit, and what floe says to it.

use floe_testkit::engine::Engine as _;
use floe_testkit::engine::docker::Docker;

use super::desk;
use crate::program::{run, succeed};

#[test]
fn every_mistake_says_what_to_do() {
    let desk = desk();
    desk.write("floe.toml", "[image.app]\nbase = \"oci:busybox\"\ncontents = [\"./tool\"]\n");
    for (words, code, message, hint) in [
        (
            &["build", "app", "--platform", "linux/arm64"][..],
            1,
            "the base is for linux/amd64 and the contents are for linux/arm64",
            "take a base for linux/arm64",
        ),
        (
            &["build", "app", "--max-layers", "2"],
            1,
            "layers of the base: 1, expected at most 0 of 2",
            "allow more with max-layers",
        ),
        (
            &["build", "app", "--base", "nothing"],
            1,
            "no image 'nothing:latest' is recorded",
            "docker://nothing",
        ),
        (&["build", "app", "--base", "oci:tool"], 1, "an OCI layout has 'oci-layout'", ""),
        (&["build", "app", "--base", "oci:busybox:none"], 1, "no image is called 'none'", "name one"),
        (&["build", "app", "--base", ":"], 2, "expected docker://NAME", ""),
        (&["build", "app", "--base-without", "shell"], 2, "entrypoint, cmd, env, env.NAME", ""),
        (
            &["build", "./tool", "--base-without", "env"],
            2,
            "there is no base to leave something out of",
            "name one",
        ),
        (
            &["build", "./tool", "--base", "oci:busybox", "--locked"],
            1,
            "nothing locks what oci:busybox stands for",
            "name the base by its digest",
        ),
        (&["lock", "--update", "ap"], 2, "no image 'ap' in floe.toml", "did you mean 'app'?"),
        (&["extract", "oci:busybox", "/none", "out"], 1, "/none is not in the image", ""),
        (&["extract", "oci:busybox", "../x", "out"], 2, "has a '..'", "name a path in the image"),
    ] {
        let said = run(&mut desk.floe(words), code).stderr;
        assert!(said.contains(message) && said.contains(hint), "{words:?}: {said}");
        assert!(!desk.path("out").exists(), "{words:?}");
    }
}

/// A base's layers are not packed again, so an old docker is told before it fails in words of its own.
#[test]
fn an_old_docker_is_not_given_zstd() {
    let docker = Docker::start().unwrap_or_else(|error| panic!("{error}"));
    let desk = desk();
    succeed(&mut desk.floe(&["build", "./tool", "--name", "base", "--compression", "zstd"]));
    succeed(&mut desk.floe(&["build", "./tool", "--base", "base", "--name", "app"]));
    for words in
        [&["load", "docker", "app"][..], &["build", "./tool", "--base", "base", "--to", "docker:app"]]
    {
        let said = run(desk.floe(words).envs(docker.environment()), 1).stderr;
        assert!(said.contains("the base has layers in zstd, which this docker does not read"), "{said}");
    }
    let said = run(&mut desk.floe(&["export", "app", "app.tar"]), 0).stderr;
    assert!(said.contains("warning: docker before version 23 does not load"), "{said}");
}
