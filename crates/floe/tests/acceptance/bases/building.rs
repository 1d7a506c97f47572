//! What is built runs, keeps the base's programs, and is the same whoever builds it.

use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::docker::Docker;
use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine, Run};

use super::{build, check_layers_are_the_bases, debian, desk};
use crate::layout::Layout;
use crate::program::{Desk, answer, program, succeed};

/// Images upon every base. What the first is asked, its shell and its tools answer.
fn describe(desk: &Desk) {
    let question = "hello && id -un && stat -c '%a %U' /tmp /root && readlink /bin && grep -c . /etc/passwd && echo $LANG";
    let text = format!(
        r#"
[image.debian]
base = "oci:{}:1"
contents = ["./app"]
root = ["./app"]
cmd = ["/bin/sh", "-c", "{question}"]

[image.shell]
base = "oci:busybox"
contents = ["./tool"]
cmd = ["/bin/sh", "-c", "busybox id -u && busybox cat /etc/passwd && id -un"]

[image.nothing]
base = "oci:distroless"
contents = ["./tool"]
cmd = ["id"]
"#,
        debian().display()
    );
    desk.write("floe.toml", &text);
    let hello = desk.write("app/bin/hello", "#!/bin/sh\necho hello from Debian $(cat /etc/debian_version)\n");
    std::fs::set_permissions(hello, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
}

/// Loads each image from the record and runs it.
fn check(engine: &dyn Engine, prefix: &str) {
    let desk = desk();
    describe(&desk);
    for (name, expected) in [
        ("debian", "hello from Debian 12"),
        ("shell", "1000\nroot:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"),
        ("nothing", "uid=65532(nonroot) gid=65532(nonroot)"),
    ] {
        succeed(&mut desk.floe(&["build", name]));
        succeed(desk.floe(&["load", engine.name(), name]).envs(engine.environment()));
        let image = format!("{prefix}{name}:latest");
        let output = engine.run(&Run { image: &image, ..Run::default() });
        let output = output.unwrap_or_else(|error| panic!("{name} in {}: {error}", engine.name()));
        let said = output.stdout;
        assert!(said.starts_with(expected), "{name} in {}: {said}", engine.name());
        if name == "debian" {
            let rest: Vec<&str> = said.lines().skip(1).collect();
            assert_eq!(rest[..4], ["user", "1777 root", "700 root", "usr/bin"], "{said}");
            assert_eq!(rest.last(), Some(&"C.UTF-8"), "{said}");
            let accounts: usize = rest[4].parse().expect("a number");
            assert!(accounts > 10, "the base's accounts are still there: {said}");
        }
        if name == "shell" {
            assert!(said.ends_with("\nuser\n"), "{said}");
        }
    }
}

#[test]
fn podman_runs_them() {
    check(&Podman::start().unwrap_or_else(|error| panic!("{error}")), "localhost/");
}

#[test]
fn docker_runs_them() {
    check(&Docker::start().unwrap_or_else(|error| panic!("{error}")), "");
}

#[test]
fn containerd_runs_them() {
    check(&Containerd::start().unwrap_or_else(|error| panic!("{error}")), "docker.io/library/");
}

#[test]
fn the_bases_layers_stay_byte_for_byte() {
    let desk = desk();
    describe(&desk);
    for (name, base) in
        [("debian", debian()), ("shell", desk.path("busybox")), ("nothing", desk.path("distroless"))]
    {
        succeed(&mut desk.floe(&["build", name, "--to", &format!("oci:{name}:1")]));
        let (image, base) = (Layout::read(&desk.path(name)), Layout::read(&base));
        check_layers_are_the_bases(&image, &base);
    }
    // The same image out of the record, in a form that every engine loads, and as others read it.
    succeed(&mut desk.floe(&["build", "shell"]));
    succeed(&mut desk.floe(&["export", "shell", "oci-archive:shell.tar"]));
    let layers = answer(&mut program(
        "skopeo",
        &["inspect", "--format", "{{.Layers}}", &format!("oci-archive:{}", desk.text("shell.tar"))],
    ));
    let base = Layout::read(&desk.path("busybox"));
    assert!(layers.contains(base.layers()[0]["digest"].as_str().expect("a digest")), "{layers}");
}

#[test]
fn the_config_is_inherited() {
    let desk = desk();
    describe(&desk);
    succeed(&mut desk.floe(&["build", "shell", "--to", "oci:shell:1"]));
    let config = Layout::read(&desk.path("shell")).config["config"].clone();
    assert_eq!(
        (&config["StopSignal"], &config["User"]),
        (&"SIGQUIT".into(), &"1000:1000".into()),
        "{config}"
    );
    succeed(&mut desk.floe(&["build", "nothing", "--to", "oci:nothing:1"]));
    let layout = Layout::read(&desk.path("nothing"));
    let config = &layout.config["config"];
    assert_eq!(
        (&config["User"], &config["WorkingDir"]),
        (&"nonroot".into(), &"/home/nonroot".into()),
        "{config}"
    );
    let environment = layout.environment();
    assert_eq!(environment["SSL_CERT_FILE"], "/etc/ssl/certs/x");
    assert!(!environment.contains_key("HOME"), "the engine knows the home of a base's user");
    let drop = ["--base-without", "user", "--base-without", "env", "--base-without", "workdir"];
    succeed(desk.floe(&["build", "nothing", "--to", "oci:without:1"]).args(drop));
    let without = Layout::read(&desk.path("without"));
    assert_eq!(without.config["config"]["User"], "1000:1000");
    assert_eq!(without.config["config"].get("WorkingDir"), None);
    assert_eq!(without.environment()["HOME"], "/home/user");
}

#[test]
fn everyone_builds_the_same() {
    let desk = desk();
    describe(&desk);
    let digest = build(&desk, &["nothing", "--to", "oci:one"]);
    assert_eq!(build(&desk, &["nothing", "--to", "oci:two", "--no-memo", "--threads", "1"]), digest);
    std::fs::create_dir_all(desk.path("deep/er")).expect("folders");
    let words = ["build", "nothing", "--json", "--no-memo", "--to", "oci:three"];
    let written = succeed(
        desk.floe(&words).current_dir(desk.path("deep/er")).env("TZ", "Asia/Tokyo").env("LC_ALL", "C"),
    );
    assert!(String::from_utf8(written.stdout).expect("JSON").contains(&digest));
    // The keys the other way round, on another machine.
    let other = super::desk();
    let text = "[image.nothing]\ncmd = [\"id\"]\ncontents = [\"./tool\"]\nbase = \"oci:distroless\"\n";
    other.write("floe.toml", text);
    let layout = |desk: &Desk| Layout::read(&desk.path("distroless")).digest().to_owned();
    let shuffled = build(&other, &["nothing", "--to", "oci:one"]);
    assert_eq!(
        shuffled == digest,
        layout(&desk) == layout(&other),
        "umoci writes the time of day into its config"
    );
}

#[test]
fn a_recorded_image_is_a_base_too() {
    let desk = desk();
    describe(&desk);
    succeed(&mut desk.floe(&["build", "shell"]));
    desk.write("page/index.html", "<h1>hello</h1>\n");
    succeed(&mut desk.floe(&["build", "./page", "--base", "shell", "--name", "page", "--to", "oci:upon:1"]));
    let page = Layout::read(&desk.path("upon"));
    succeed(&mut desk.floe(&["build", "shell", "--to", "oci:shell:1"]));
    let shell = Layout::read(&desk.path("shell"));
    let digests =
        |layout: &Layout| layout.layers().iter().map(|layer| layer["digest"].clone()).collect::<Vec<_>>();
    let count = digests(&shell).len();
    assert_eq!(digests(&page)[..count], digests(&shell)[..]);
    assert_eq!(page.config["config"]["Cmd"], shell.config["config"]["Cmd"]);
}
