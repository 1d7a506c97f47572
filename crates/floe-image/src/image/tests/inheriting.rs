//! The base's config, what was asked, and floe's defaults, against each other.

use serde_json::{Value, json};

use super::{Store, base, nothing};
use crate::image::{ComposeError, InheritedField, Settings, User};
use crate::layer::{BaseRoot, LayerContents, Owner};

/// What is asked, over a base's config, gives the fields of the image's config that `expected` names.
#[track_caller]
fn check(base_config: Value, without: &[&str], ask: impl Fn(&mut Settings), expected: Value) {
    let store = Store::new(&[("app", &["bin/app"])]);
    let mut base = base(2, base_config, BaseRoot::default());
    for field in without {
        base = base.without(&field.parse::<InheritedField>().expect(field));
    }
    let mut settings = nothing(Some(base));
    ask(&mut settings);
    let config = store.compose(&settings).expect("a draft").config;
    let config = serde_json::to_value(&config.config).expect("JSON");
    for (field, expected) in expected.as_object().expect("fields") {
        assert_eq!(config.get(field).unwrap_or(&Value::Null), expected, "{field}");
    }
}

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn a_start_is_taken_whole() {
    let app = format!("{}/bin/app", Store::full_path("app"));
    let both = || json!({ "Entrypoint": ["/init"], "Cmd": ["serve"] });
    let shell = || json!({ "Cmd": ["bash"] });
    check(both(), &[], |_| {}, both());
    check(shell(), &[], |_| {}, json!({ "Entrypoint": [app], "Cmd": null }));
    check(json!({}), &[], |_| {}, json!({ "Entrypoint": [app], "Cmd": null }));
    check(json!({ "Entrypoint": [], "Cmd": null }), &[], |_| {}, json!({ "Entrypoint": [app] }));
    check(both(), &[], |asked| asked.cmd = words(&["x"]), json!({ "Entrypoint": ["/init"], "Cmd": ["x"] }));
    check(
        both(),
        &[],
        |asked| asked.entrypoint = words(&["/x"]),
        json!({ "Entrypoint": ["/x"], "Cmd": null }),
    );
    check(shell(), &[], |asked| asked.cmd = words(&["x"]), json!({ "Entrypoint": null, "Cmd": ["x"] }));
    check(both(), &["entrypoint"], |_| {}, json!({ "Entrypoint": [app], "Cmd": null }));
    check(both(), &["cmd"], |_| {}, json!({ "Entrypoint": ["/init"], "Cmd": null }));
}

#[test]
fn variables_are_merged_by_name() {
    let bin = format!("{}/bin", Store::full_path("app"));
    let base = || json!({ "Env": ["PATH=/opt/bin:/bin", "LANG=C", "A=base", "A=last"], "User": "7:8" });
    check(base(), &[], |_| {}, json!({ "Env": ["A=last", "LANG=C", format!("PATH={bin}:/opt/bin:/bin")] }));
    check(
        base(),
        &["env.LANG"],
        |asked| asked.env = [("A".to_owned(), "asked".to_owned())].into(),
        json!({ "Env": ["A=asked", format!("PATH={bin}:/opt/bin:/bin")] }),
    );
    let engines = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    check(base(), &["env"], |_| {}, json!({ "Env": [format!("PATH={bin}:{engines}")] }));
    check(
        base(),
        &["env"],
        |asked| asked.env = [("PATH".to_owned(), "/x".to_owned())].into(),
        json!({ "Env": ["PATH=/x"] }),
    );
}

#[test]
fn the_user_brings_home_and_name() {
    let env = |home: &str, name: &str| {
        let path = format!("{}/bin:/bin", Store::full_path("app"));
        json!([format!("HOME={home}"), format!("PATH={path}"), format!("USER={name}")])
    };
    let path = || json!(["PATH=/bin", "HOME=/base"]);
    // A base's own user is the base's matter.
    let inherited = format!("PATH={}/bin:/bin", Store::full_path("app"));
    check(
        json!({ "Env": path(), "User": "7:8" }),
        &[],
        |_| {},
        json!({ "User": "7:8", "Env": ["HOME=/base", inherited] }),
    );
    for (user, field) in [(json!(null), None), (json!(""), None), (json!("7:8"), Some("user"))] {
        check(
            json!({ "Env": path(), "User": user }),
            &Vec::from_iter(field),
            |_| {},
            json!({ "User": "1000:1000", "Env": env("/home/user", "user") }),
        );
    }
    let root = |asked: &mut Settings| asked.user = Some(User::ROOT);
    check(
        json!({ "Env": path(), "User": "7:8" }),
        &[],
        root,
        json!({ "User": "0:0", "Env": env("/root", "root") }),
    );
}

#[test]
fn the_rest_is_joined_or_replaced() {
    let base = || {
        json!({
            "WorkingDir": "/base", "StopSignal": "SIGQUIT", "Healthcheck": { "Test": ["CMD", "base"] },
            "Labels": { "a": "base", "b": "base" }, "ExposedPorts": { "80/tcp": {} }, "Volumes": { "/base": {} },
            "Shell": ["/bin/bash", "-c"], "OnBuild": ["RUN x"], "Hostname": "builder",
        })
    };
    check(
        base(),
        &[],
        |_| {},
        json!({
            "WorkingDir": "/base", "StopSignal": "SIGQUIT", "Healthcheck": { "Test": ["CMD", "base"] },
            "Labels": { "a": "base", "b": "base" }, "ExposedPorts": { "80/tcp": {} }, "Volumes": { "/base": {} },
            "Shell": ["/bin/bash", "-c"], "OnBuild": null, "Hostname": null,
        }),
    );
    let ask = |asked: &mut Settings| {
        asked.workdir = Some("/asked".to_owned());
        asked.stop_signal = Some("SIGINT".to_owned());
        asked.labels = [("a".to_owned(), "asked".to_owned())].into();
        asked.ports = ["81/tcp".to_owned()].into();
        asked.volumes = ["/asked".to_owned()].into();
    };
    check(
        base(),
        &[],
        ask,
        json!({
            "WorkingDir": "/asked", "StopSignal": "SIGINT", "Labels": { "a": "asked", "b": "base" },
            "ExposedPorts": { "80/tcp": {}, "81/tcp": {} }, "Volumes": { "/asked": {}, "/base": {} },
        }),
    );
    let without = ["workdir", "stop-signal", "healthcheck", "labels.a", "ports", "volumes./base"];
    check(
        base(),
        &without,
        |_| {},
        json!({
            "WorkingDir": null, "StopSignal": null, "Healthcheck": null, "Labels": { "b": "base" },
            "ExposedPorts": null, "Volumes": null,
        }),
    );
    let required = json!({ "Labels": { "dev.floe.required-env": "B A" } });
    check(
        required,
        &[],
        |asked| asked.required_env = ["C".to_owned()].into(),
        json!({
            "Labels": { "dev.floe.required-env": "A B C" },
        }),
    );
}

#[test]
fn names_what_cannot_be_left_out() {
    for text in ["", "entry", "env.", "user.x", "Env"] {
        assert!(text.parse::<InheritedField>().is_err(), "{text}");
    }
    for text in ["env.A.B", "labels.org.example", "stop-signal"] {
        assert_eq!(text.parse::<InheritedField>().expect(text).to_string(), text);
    }
}

#[test]
fn history_and_layers_are_continued() {
    let store = Store::new(&[("app", &["bin/app"])]);
    let draft = store.compose(&nothing(Some(base(3, json!({}), BaseRoot::default())))).expect("a draft");
    assert_eq!((draft.base.len(), draft.layers.len()), (3, 2));
    assert_eq!((draft.config.history.len(), draft.config.rootfs.diff_ids.len()), (3, 3));
}

#[test]
fn refuses_bases_that_do_not_suit() {
    let store = Store::new(&[("app", &["bin/app"])]);
    let with = |base| store.compose(&nothing(Some(base)));
    let mut other = base(1, json!({}), BaseRoot::default());
    other.config.architecture = "arm64".to_owned();
    let message = with(other).expect_err("another processor").to_string();
    assert_eq!(message, "the base is for linux/arm64 and the contents are for linux/amd64");
    // 99 layers are left for the store, one is the root's.
    assert!(with(base(98, json!({}), BaseRoot::default())).is_ok());
    let message = with(base(99, json!({}), BaseRoot::default())).expect_err("no room").to_string();
    assert_eq!(message, "layers of the base: 99, expected at most 98 of 100");
    let message = with(base(1, json!({ "User": "nobody" }), BaseRoot::default())).expect_err("a name");
    assert!(matches!(message, ComposeError::UnknownUser(name) if name == "nobody"));
}

/// A base's user by name owns what is made for it.
#[test]
fn a_named_user_is_looked_up() {
    for (user, expected) in [
        ("web", Some((33, 34))),
        ("web:staff", Some((33, 50))),
        ("33", Some((33, 34))),
        ("33:1", Some((33, 1))),
        ("44", Some((44, 0))),
        ("web:none", None),
        ("none", None),
    ] {
        let root: BaseRoot = serde_json::from_value(json!({
            "directories": ["etc"], "links": {}, "files": [],
            "passwd": "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/sh\n", "group": "root:x:0:\nstaff:x:50:\n",
        }))
        .expect("a root");
        let mut settings = nothing(Some(base(1, json!({ "User": user }), root)));
        settings.volumes = ["/data".to_owned()].into();
        let draft = Store::new(&[]).compose(&settings);
        let owner = draft.ok().map(|draft| match &draft.layers.last().expect("the root's").contents {
            LayerContents::Entries { entries } => {
                let data = entries.iter().find(|entry| entry.path == "data").expect("the volume");
                assert!(
                    !entries.iter().any(|entry| entry.path == "etc/passwd"),
                    "the base looks after its user"
                );
                data.owner
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(owner, expected.map(|(uid, gid)| Owner { uid, gid }), "{user}");
    }
}
