//! Where the nodes of a root go above a base: through its links, beside its files, around its directories.

use serde_json::json;

use super::{Store, base, nothing};
use crate::image::{ComposeError, Settings, User};
use crate::layer::root_tree::{RootEntry, RootNode, RootTreeError};
use crate::layer::{BaseRoot, LayerContents, Owner};

/// A distribution's root, as Debian has it: `/bin` is a link, `/tmp` has a mode of its own.
fn debian() -> BaseRoot {
    serde_json::from_value(json!({
        "directories": ["etc", "etc/ssl", "etc/ssl/certs", "home", "home/alice", "root", "tmp", "usr", "usr/bin", "usr/lib",
            "usr/share", "usr/share/man", "var", "var/tmp", "srv"],
        "links": { "bin": "usr/bin", "lib": "usr/lib", "usr/local-share": "usr/share" },
        "files": ["etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt"],
        "passwd": "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000:Alice:/home/alice:/bin/bash\nuser:x:5:5::/:/bin/sh",
        "group": "root:x:0:\nalice:x:1000:\n",
    }))
    .expect("a root")
}

/// Lists the nodes of the root's layer; packages are linked into `/` in the order given.
fn listing(packages: &[(&str, &[&str])], root: BaseRoot, ask: impl Fn(&mut Settings)) -> Vec<String> {
    let store = Store::new(packages);
    let mut settings = nothing(Some(base(1, json!({}), root)));
    settings.root = store.paths.clone();
    ask(&mut settings);
    let draft = store.compose(&settings).expect("a draft");
    let Some(LayerContents::Entries { entries }) = draft.layers.last().map(|layer| &layer.contents) else {
        return Vec::new();
    };
    let line = |entry: &RootEntry| match &entry.node {
        RootNode::Directory => format!("{}/ {:o} {}", entry.path, entry.mode, entry.owner.uid),
        RootNode::File(content) => format!("{}: {}", entry.path, String::from_utf8_lossy(content)),
        RootNode::Symlink(target) => {
            format!("{} -> {}", entry.path, target.replace(&format!("/nix/store/{}-", "0".repeat(32)), "@"))
        }
    };
    entries.iter().map(line).collect()
}

#[test]
fn what_the_base_has_stays() {
    // Alice is user 1000 already, and has a home: nothing at all is added.
    assert_eq!(listing(&[], debian(), |_| {}), [""; 0]);
    let bob = |asked: &mut Settings| asked.user = Some(User { owner: Owner { uid: 7, gid: 1000 } });
    assert_eq!(
        listing(&[], debian(), bob),
        [
            "etc/passwd: root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000:Alice:/home/alice:/bin/bash\n\
         user:x:5:5::/:/bin/sh\nuser7:x:7:1000::/home/user:/bin/sh\n",
            "home/user/ 755 7",
        ]
    );
    let folders = |asked: &mut Settings| {
        asked.workdir = Some("/srv".to_owned());
        asked.volumes = ["/srv/data".to_owned(), "/lib/data".to_owned()].into();
    };
    assert_eq!(listing(&[], debian(), folders), ["srv/data/ 755 1000", "usr/lib/data/ 755 1000"]);
}

#[test]
fn links_to_directories_are_followed() {
    let packages: &[(&str, &[&str])] = &[
        ("a", &["bin/a", "lib/a/x", "share/man/man1/a.1", "opt/x"]),
        ("b", &["usr/bin/b", "usr/local-share/man/man1/b.1"]),
    ];
    assert_eq!(
        listing(packages, debian(), |_| {}),
        [
            "opt/ 755 0",
            "opt/x -> @a/opt/x",
            "share/ 755 0",
            "share/man -> @a/share/man",
            "usr/bin/a -> @a/bin/a",
            "usr/bin/b -> @b/usr/bin/b",
            "usr/lib/a -> @a/lib/a",
            // The base has the directory, so it stays one.
            "usr/share/man/man1 -> @b/usr/local-share/man/man1",
        ]
    );
}

#[test]
fn two_ways_to_one_place_are_a_conflict() {
    let packages: &[(&str, &[&str])] = &[("a", &["bin/x"]), ("b", &["usr/bin/x"])];
    let store = Store::new(packages);
    let mut settings = nothing(Some(base(1, json!({}), debian())));
    settings.root = store.paths.clone();
    let error = store.compose(&settings).expect_err("both have usr/bin/x");
    assert!(matches!(error, ComposeError::Root(RootTreeError::Conflict { .. })), "{error}");
    settings.root_conflicts = crate::layer::root_tree::Conflicts::First;
    assert!(store.compose(&settings).is_ok());
}

#[test]
fn an_empty_base_gets_all_that_floe_has() {
    let lines = listing(&[], BaseRoot::default(), |_| {});
    let paths: Vec<&str> = lines.iter().filter_map(|line| line.split([':', ' ']).next()).collect();
    assert_eq!(
        paths,
        [
            "etc/",
            "etc/group",
            "etc/nsswitch.conf",
            "etc/passwd",
            "home/",
            "home/user/",
            "root/",
            "tmp/",
            "var/",
            "var/tmp/"
        ]
    );
}
