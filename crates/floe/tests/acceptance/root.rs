//! What stands outside the store: merged packages, literal files, accounts; and what the config says.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::layout::Layout;
use crate::program::{Desk, answer, program, run, succeed, text};
use crate::shared_images::package;

/// Mode, owner and group of a file, which is not followed.
fn status(root: &Path, path: &str) -> (u32, u32, u32) {
    let metadata = root.join(path).symlink_metadata().unwrap_or_else(|error| panic!("{path}: {error}"));
    (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
}

fn link(root: &Path, path: &str) -> String {
    let target = std::fs::read_link(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    text(&target).to_owned()
}

fn contents(root: &Path, path: &str) -> String {
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Builds a layout and unpacks its root layer.
fn build(desk: &Desk, words: &[&str]) -> (Layout, std::path::PathBuf) {
    succeed(desk.floe(&[&["build"], words].concat()).args(["--to", "oci:image:1"]));
    let layout = Layout::read(&desk.path("image"));
    layout.unpack_root(&desk.path("root"));
    (layout, desk.path("root"))
}

#[test]
fn packages_are_merged_into_the_root() {
    let desk = Desk::new();
    let (bash, coreutils) = (package("bash"), package("coreutils"));
    let (layout, root) = build(&desk, &["--root", &bash, "--root", &coreutils, "--name", "shell"]);
    assert_eq!(status(&root, "bin"), (0o755, 0, 0), "a folder of its own, since two packages have one");
    assert_eq!(link(&root, "bin/bash"), format!("{bash}/bin/bash"));
    assert_eq!(link(&root, "bin/ls"), format!("{coreutils}/bin/ls"));
    assert_eq!(layout.environment()["PATH"], format!("{bash}/bin:{coreutils}/bin:/bin"));
    // The links lead somewhere, below the same root.
    layout.unpack(&desk.path("whole"));
    let whole = desk.path("whole");
    let words = [text(&whole), "/bin/bash", "-c", "/bin/ls /bin/bash && /bin/cat /etc/nsswitch.conf"];
    let said = answer(&mut program("chroot", &words));
    assert!(said.starts_with("/bin/bash\npasswd: files\n"), "{said}");
}

#[test]
fn a_conflict_names_both_packages_and_a_flag_picks_the_first() {
    let desk = Desk::new();
    for name in ["left", "right"] {
        desk.write(&format!("{name}/bin/tool"), name);
        desk.write(&format!("{name}/bin/{name}"), name);
    }
    let both = ["--name", "app", "--root", "./left", "--root", "./right"];
    let refused = run(desk.floe(&[&["build"], both.as_slice()].concat()).args(["--to", "oci:refused"]), 1);
    let (_, reason) = refused.stderr.split_once("both ").expect("it says which");
    let (first, rest) = reason.split_once(" and ").expect("two are named");
    assert!(first.ends_with("-left") && rest.contains("-right have /bin/tool\n"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--root-conflicts first"), "{}", refused.stderr);
    assert!(!desk.path("refused").exists());

    let (_, root) = build(&desk, &[both.as_slice(), &["--root-conflicts", "first"]].concat());
    assert!(link(&root, "bin/tool").ends_with("-left/bin/tool"), "{}", link(&root, "bin/tool"));
    assert!(link(&root, "bin/left").ends_with("-left/bin/left"));
    assert!(link(&root, "bin/right").ends_with("-right/bin/right"));
}

const FLOE_TOML: &str = r#"
[image.base]
user = "1234:5678"
workdir = "/srv/app"
env = { LANG = "C.UTF-8", MODE = "base" }
stop-signal = "SIGINT"

[image.app]
inherits = "base"
name = "registry.example.com/team/app"
tag = "2.1"
contents = ["./app"]
entrypoint = ["/bin/app", "--verbose"]
cmd = ["serve", "--all"]
env = { MODE = "app" }
ports = [8080, "53/udp"]
volumes = ["/data"]
labels = { "org.example.team" = "floe" }
annotations = { "org.opencontainers.image.source" = "https://example.com/app" }
created = 2024-05-06T07:08:09Z
platform = "aarch64-linux"
required-env = ["TOKEN", "DATABASE_URL"]
compression = "gzip:1"
root = ["./app"]

[image.app.healthcheck]
test = ["/bin/app", "check"]
interval = "15s"
timeout = "2s"
start-period = "1m"
retries = 5

[image.app.files]
"/etc/motd" = "welcome\n"
"/etc/app.conf" = { text = "secret", mode = "0640", owner = "0:5678" }
"#;

#[test]
fn everything_in_floe_toml_is_in_the_image() {
    let desk = Desk::new();
    desk.write("floe.toml", FLOE_TOML);
    desk.write("app/bin/app", "#!/bin/sh\n");
    let (layout, root) = build(&desk, &["app"]);

    let image = format!("oci:{}:1", desk.path("image").display());
    let config = answer(&mut program("skopeo", &["inspect", "--raw", "--config", &image]));
    let config: Value = serde_json::from_str(&config).expect("JSON");
    let expected = json!({
        "User": "1234:5678",
        "ExposedPorts": { "53/udp": {}, "8080/tcp": {} },
        "Env": [
            "HOME=/home/user", "LANG=C.UTF-8", "MODE=app",
            format!("PATH={}:/bin", link(&root, "bin/app").trim_end_matches("/app")), "USER=user",
        ],
        "Entrypoint": ["/bin/app", "--verbose"],
        "Cmd": ["serve", "--all"],
        "Healthcheck": {
            "Test": ["CMD", "/bin/app", "check"], "Interval": 15_000_000_000_u64, "Timeout": 2_000_000_000_u64,
            "StartPeriod": 60_000_000_000_u64, "Retries": 5,
        },
        "Volumes": { "/data": {} },
        "WorkingDir": "/srv/app",
        "Labels": { "dev.floe.required-env": "DATABASE_URL TOKEN", "org.example.team": "floe" },
        "StopSignal": "SIGINT",
    });
    assert_eq!(config["config"], expected);
    assert_eq!(config["created"], "2024-05-06T07:08:09Z");
    assert_eq!((&config["os"], &config["architecture"]), (&json!("linux"), &json!("arm64")));
    let annotations = &layout.manifest["annotations"];
    assert_eq!(annotations["org.opencontainers.image.source"], "https://example.com/app");
    assert_eq!(layout.layers()[0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");

    assert_eq!(contents(&root, "etc/motd"), "welcome\n");
    assert_eq!(contents(&root, "etc/app.conf"), "secret");
    assert_eq!(status(&root, "etc/motd"), (0o644, 0, 0));
    assert_eq!(status(&root, "etc/app.conf"), (0o640, 0, 5678));
    assert_eq!(status(&root, "srv/app"), (0o755, 1234, 5678));
    assert_eq!(status(&root, "data"), (0o755, 1234, 5678));
    assert_eq!(status(&root, "home/user"), (0o755, 1234, 5678));
    assert!(
        contents(&root, "etc/passwd").contains("\nuser:x:1234:5678:"),
        "{}",
        contents(&root, "etc/passwd")
    );

    // The name and tag are the entry's, where the destination has none of its own; flags win over the file.
    succeed(&mut desk.floe(&["build", "app", "--user", "root", "--env", "MODE=flag", "--to", "oci:flags"]));
    let flags = Layout::read(&desk.path("flags"));
    let annotations = &flags.index["manifests"][0]["annotations"];
    assert_eq!(annotations["org.opencontainers.image.ref.name"], "2.1", "{annotations}");
    assert_eq!(flags.config["config"]["User"], "0:0");
    assert_eq!(flags.environment()["MODE"], "flag");
    assert_eq!(flags.environment()["HOME"], "/root");
}

#[test]
fn defaults_are_what_a_user_would_want() {
    let desk = Desk::new();
    let certificates = package("ca-certificates");
    let bash = package("bash");
    let (layout, root) = build(&desk, &[&bash, &certificates]);

    assert_eq!(layout.config["config"]["User"], "1000:1000");
    assert_eq!(layout.config["config"]["Entrypoint"], json!([format!("{bash}/bin/bash")]));
    assert_eq!(layout.config["created"], "1970-01-01T00:00:01Z");
    let environment = layout.environment();
    let bundle = format!("{certificates}/etc/ssl/certs/ca-bundle.crt");
    let path = environment["PATH"].as_str();
    assert!(path.starts_with(&format!("{bash}/bin:")) && path.ends_with(":/bin"), "{path}");
    assert_eq!((environment["HOME"].as_str(), environment["USER"].as_str()), ("/home/user", "user"));
    assert_eq!(environment["SSL_CERT_FILE"], bundle);
    assert!(Path::new(&bundle).exists(), "{bundle}");
    assert_eq!(link(&root, "etc/ssl/certs/ca-certificates.crt"), bundle);

    assert_eq!(
        contents(&root, "etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
    );
    assert_eq!(contents(&root, "etc/group"), "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n");
    assert!(contents(&root, "etc/nsswitch.conf").contains("hosts: files dns\n"));
    for file in ["etc/passwd", "etc/group", "etc/nsswitch.conf"] {
        assert_eq!(status(&root, file), (0o644, 0, 0), "{file}");
    }
    assert_eq!(status(&root, "home/user"), (0o755, 1000, 1000));
    assert_eq!(status(&root, "home"), (0o755, 0, 0));
    assert_eq!(status(&root, "root"), (0o700, 0, 0));
    assert_eq!(status(&root, "tmp"), (0o1777, 0, 0));
    assert_eq!(status(&root, "var/tmp"), (0o1777, 0, 0));
}

#[test]
fn the_time_of_creation_comes_from_the_environment_unless_it_is_said() {
    let desk = Desk::new();
    desk.write("app/file", "contents\n");
    for (words, epoch, expected) in [
        (&[] as &[&str], None, "1970-01-01T00:00:01Z"),
        (&[], Some("1700000000"), "2023-11-14T22:13:20Z"),
        (&["--created", "2001-02-03T04:05:06Z"], Some("1700000000"), "2001-02-03T04:05:06Z"),
        (&["--created", "86400"], None, "1970-01-02T00:00:00Z"),
    ] {
        let mut command = desk.floe(&[&["build", "./app", "--to", "oci:image:1"], words].concat());
        if let Some(epoch) = epoch {
            command.env("SOURCE_DATE_EPOCH", epoch);
        }
        succeed(&mut command);
        assert_eq!(Layout::read(&desk.path("image")).config["created"], expected, "{words:?} {epoch:?}");
    }
    let refused = run(desk.floe(&["build", "./app"]).env("SOURCE_DATE_EPOCH", "soon"), 2);
    assert!(refused.stderr.starts_with("error: SOURCE_DATE_EPOCH is 'soon'"), "{}", refused.stderr);
}
