//! Each engine loads an image, runs it hardened, serves a page, and leaves nothing behind.

use std::path::PathBuf;
use std::{fs, thread};

use anyhow::Context as _;
use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::docker::Docker;
use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine, Run};
use floe_testkit::service::output::{COMMAND_TIMEOUT, run};
use floe_testkit::service::port::free_port;

use crate::busybox::{self, PAGE, REFERENCE};

/// Loads and runs the image. `entrypoint` comes first in the arguments where the engine drops the image's own.
fn check(engine: &dyn Engine, entrypoint: &[&str]) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("busybox.tar");
    busybox::write_archive(&archive)?;
    assert_eq!(engine.images()?, [""; 0], "the storage is private");
    engine.load(&archive)?;
    assert_eq!(engine.images()?, [REFERENCE]);

    let script = "id -u; grep CapEff /proc/self/status; touch /etc/x 2>/dev/null || echo read-only";
    let arguments = [entrypoint, &["sh", "-c", script]].concat();
    let output = engine.run(&Run { image: REFERENCE, arguments: &arguments, ..Run::default() })?;
    assert_eq!(output.stdout, "1000\nCapEff:\t0000000000000000\nread-only\n");

    let failing = [entrypoint, &["sh", "-c", "echo broken >&2; exit 7"]].concat();
    let error = engine.run(&Run { image: REFERENCE, arguments: &failing, ..Run::default() });
    let message = error.err().context("the program's status counts")?.to_string();
    assert!(message.contains("broken"), "{message}");

    let (first, second) = (serve(engine, entrypoint)?, serve(engine, entrypoint)?);
    assert_eq!(first.fetch("/index.html")?, PAGE);
    assert_eq!(second.fetch("/index.html")?, PAGE);
    assert_ne!(first.address(), second.address());
    let address = second.address().context("it serves")?;
    drop(second);
    assert!(std::net::TcpStream::connect(address).is_err(), "the container is gone");
    assert_eq!(first.fetch("/index.html")?, PAGE);
    Ok(())
}

fn serve<'a>(
    engine: &'a dyn Engine,
    entrypoint: &[&str],
) -> anyhow::Result<floe_testkit::engine::Container<'a>> {
    let port = free_port();
    let listen = port.to_string();
    let arguments = [entrypoint, &["httpd", "-f", "-p", &listen, "-h", "/www"]].concat();
    Ok(engine.run_detached(&Run {
        image: REFERENCE,
        arguments: &arguments,
        port: Some(port),
        ..Run::default()
    })?)
}

/// The engine's directory, as its environment shows it.
fn directory_of(engine: &dyn Engine) -> anyhow::Result<PathBuf> {
    let environment = engine.environment();
    let (_, value) = environment.last().context("every engine has a variable")?;
    let path = PathBuf::from(value.trim_start_matches("unix://"));
    Ok(path.parent().context("it is in a directory")?.to_owned())
}

/// Nothing is mounted from the directory, no process names it, and it does not exist.
fn assert_gone(directory: &std::path::Path) -> anyhow::Result<()> {
    let name = directory.to_str().context("it is UTF-8")?;
    assert!(!directory.exists(), "{name}");
    assert!(!fs::read_to_string("/proc/self/mountinfo")?.contains(name));
    for entry in fs::read_dir("/proc")?.flatten() {
        let command_line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&command_line).contains(name), "{:?}", entry.path());
    }
    Ok(())
}

#[test]
fn podman_runs_an_image() -> anyhow::Result<()> {
    check(&Podman::start()?, &[])
}

#[test]
fn docker_runs_an_image() -> anyhow::Result<()> {
    check(&Docker::start()?, &[])
}

#[test]
fn containerd_runs_an_image() -> anyhow::Result<()> {
    check(&Containerd::start()?, &["/bin/busybox"])
}

#[test]
fn an_engine_takes_forgotten_containers_with_it() -> anyhow::Result<()> {
    let archive_directory = tempfile::tempdir()?;
    let archive = archive_directory.path().join("busybox.tar");
    busybox::write_archive(&archive)?;
    let engines: [(Box<dyn Engine>, &[&str]); 3] = [
        (Box::new(Podman::start()?), &[]),
        (Box::new(Docker::start()?), &[]),
        (Box::new(Containerd::start()?), &["/bin/busybox"]),
    ];
    for (engine, entrypoint) in engines {
        engine.load(&archive)?;
        let container = serve(&*engine, entrypoint)?;
        container.fetch("/index.html")?;
        let address = container.address().context("it serves")?;
        std::mem::forget(container);
        let (name, directory) = (engine.name(), directory_of(&*engine)?);
        drop(engine);
        assert_gone(&directory).context(name)?;
        assert!(std::net::TcpStream::connect(address).is_err(), "{name}: the container lives on");
    }
    Ok(())
}

#[test]
fn an_engine_stops_when_a_test_panics() -> anyhow::Result<()> {
    let outcome = thread::spawn(|| {
        let engine = Docker::start().expect("docker starts");
        let directory = directory_of(&engine).expect("it has a directory");
        std::panic::panic_any(directory);
    })
    .join();
    let panic = outcome.err().context("the thread panicked")?;
    let directory = panic.downcast::<PathBuf>().ok().context("with the directory")?;
    assert_gone(&directory)
}

#[test]
fn a_shared_engine_is_one_engine() -> anyhow::Result<()> {
    let (first, second) = (Containerd::shared()?, Containerd::shared()?);
    assert_eq!(first.environment(), second.environment());
    let mut command = second.command();
    drop(first);
    run(command.arg("version"), COMMAND_TIMEOUT)?;
    Ok(())
}
