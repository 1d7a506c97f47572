//! Completions and manual pages.

use crate::program::{floe, transcript};

#[test]
fn completes_in_every_shell() {
    let directory = tempfile::tempdir().expect("a directory");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = floe(directory.path(), &["completions", shell]).output().expect("floe runs");
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout).expect("text");
        assert!(script.contains("required-env"), "{shell}");
    }
}

#[test]
fn writes_the_manual_pages() {
    let directory = tempfile::tempdir().expect("a directory");
    insta::assert_snapshot!(transcript(directory.path(), &["man", "pages"]));
    for (page, text) in
        [("man1/floe.1", "Examples"), ("man1/floe-build.1", "required"), ("man5/floe.toml.5", "entrypoint")]
    {
        let page = std::fs::read_to_string(directory.path().join("pages").join(page)).expect("the page");
        assert!(page.contains(text), "{page}");
    }
}
