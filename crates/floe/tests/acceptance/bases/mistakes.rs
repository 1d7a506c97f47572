//! Bases that do not suit, and what floe says to it.

use super::desk;
use crate::program::run;

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
