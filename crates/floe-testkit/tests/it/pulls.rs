//! Each engine pulls from the in-process registry what `skopeo` pushed there, and runs it.

use floe_testkit::engine::containerd::Containerd;
use floe_testkit::engine::docker::Docker;
use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine, Run};
use floe_testkit::registry::in_process::{Endpoint, Registry};
use floe_testkit::service::output::{COMMAND_TIMEOUT, run};

use crate::busybox;
use crate::distribution::skopeo;

fn check(engine: &dyn Engine, pull: &[&str], entrypoint: &[&str]) -> anyhow::Result<()> {
    let registry = Registry::start()?;
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("busybox.tar");
    busybox::write_archive(&archive)?;
    let reference = format!("{}/test/busybox:1", registry.host());
    let source = format!("docker-archive:{}", archive.display());
    skopeo(&["copy", "--quiet", "--dest-tls-verify=false", &source, &format!("docker://{reference}")])??;
    assert_eq!(registry.tags("test/busybox"), ["1"]);

    registry.clear_requests();
    run(engine.command().args(pull).arg(&reference), COMMAND_TIMEOUT)?;
    assert_eq!(registry.count("GET", Endpoint::Blob), 2, "{:#?}", registry.requests());
    let arguments = [entrypoint, &["cat", "/www/index.html"]].concat();
    let output = engine.run(&Run { image: &reference, arguments: &arguments, ..Run::default() })?;
    assert_eq!(output.stdout, busybox::PAGE);
    Ok(())
}

#[test]
fn podman_pulls() -> anyhow::Result<()> {
    check(&Podman::start()?, &["pull", "--quiet", "--tls-verify=false"], &[])
}

#[test]
fn docker_pulls() -> anyhow::Result<()> {
    check(&Docker::start()?, &["pull", "--quiet"], &[])
}

#[test]
fn containerd_pulls() -> anyhow::Result<()> {
    check(&Containerd::start()?, &["images", "pull", "--plain-http"], &["/bin/busybox"])
}
