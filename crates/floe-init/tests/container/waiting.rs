//! Waits and probes in a container.

use std::time::{Duration, Instant};

use crate::container::{Container, Ended, container_name};

#[test]
fn waits_for_a_file_then_runs() {
    let container = Container::new();
    let mount = format!("--volume={}:/run", container.root().join("run").display());
    let options = [mount.as_str(), "--env=FLOE_WAIT=file:///run/ready", "--env=FLOE_WAIT_TIMEOUT=5m"];
    let mut command = container.command(&options);
    let child = command.args(["--", "cat", "/run/ready"]).stdout(std::process::Stdio::piped());
    let child = child.stderr(std::process::Stdio::piped()).spawn().expect("podman");
    std::thread::sleep(Duration::from_millis(300));
    container.write("run/ready.new", "now\n");
    std::fs::rename(container.root().join("run/ready.new"), container.root().join("run/ready"))
        .expect("a file");
    let Ended { code, stdout, stderr } = Ended::of(&child.wait_with_output().expect("podman"));
    assert_eq!((code, stdout.as_str()), (Some(0), "now\n"), "{stderr}");
}

#[test]
fn gives_up_and_names_what_was_not_ready() {
    let container = Container::new();
    for (wait, code, expected) in [
        (
            "tcp://127.0.0.1:1 file:///none file:///bin/sh",
            75,
            &[
                "tcp://127.0.0.1:1 is not ready after 1 seconds: 127.0.0.1, port 1: Connection refused",
                "file:///none is not ready",
            ] as &[&str],
        ),
        (
            "tcp://no-such-host:80",
            75,
            &["no address for no-such-host", "hint: a longer wait: FLOE_WAIT_TIMEOUT"],
        ),
        ("https://api/health", 78, &["FLOE_WAIT: 'https://api/health' is no target"]),
    ] {
        let variable = format!("--env=FLOE_WAIT={wait}");
        let Ended { code: found, stdout, stderr } =
            container.script(&[&variable, "--env=FLOE_WAIT_TIMEOUT=1s"], "echo it ran");
        assert_eq!((found, stdout.as_str()), (Some(code), ""), "{stderr}");
        for words in expected {
            assert!(stderr.contains(words), "expected '{words}' in:\n{stderr}");
        }
        assert!(!stderr.contains("file:///bin/sh is not ready"), "{stderr}");
    }
}

#[test]
fn stops_waiting_on_sigterm() {
    let container = Container::new();
    let name = container_name();
    let options = ["--name", &name, "--env=FLOE_WAIT=file:///none", "--env=FLOE_WAIT_TIMEOUT=10m"];
    let mut command = container.command(&options);
    command.args(["--", "sh"]).stderr(std::process::Stdio::piped());
    let child = command.spawn().expect("podman");
    let begin = Instant::now();
    while !container.podman(&["kill", "--signal", "TERM", &name]).status.success() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the container never came up");
        std::thread::sleep(Duration::from_millis(20));
    }
    let Ended { code, stderr, .. } = Ended::of(&child.wait_with_output().expect("podman"));
    assert_eq!(code, Some(143), "{stderr}");
    assert!(stderr.contains("stopped by signal 15 while waiting"), "{stderr}");
}

#[test]
fn probes_without_a_shell() {
    let container = Container::new();
    for (arguments, code, expected) in [
        (&["file:///bin/sh"] as &[&str], 0, ""),
        (&["file:///bin/sh", "file:///none"], 1, "file:///none is not ready: /none: No such file"),
        (&["--timeout", "200ms", "http://127.0.0.1:1/health"], 1, "Connection refused"),
        (&["exec", "/bin/test", "-e", "/bin/sh"], 0, ""),
        (&["exec", "--", "/bin/test", "-e", "/none"], 1, "/bin/test: exit status: 1"),
        (&["--timeout", "100ms", "exec", "/bin/sleep", "60"], 1, "still runs after 100 ms"),
        (&["exec", "/none"], 1, "cannot run /none"),
        (&[], 2, "health has nothing to probe"),
        (&["exec"], 2, "health has nothing to probe"),
        (&["db:5432"], 2, "'db:5432' is no target"),
    ] {
        let arguments: Vec<&str> = std::iter::once("health").chain(arguments.iter().copied()).collect();
        let Ended { code: found, stderr, .. } = container.run(&[], &arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}
