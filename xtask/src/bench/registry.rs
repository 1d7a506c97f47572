//! Pushing to a registry: `floe build --to docker://` beside `skopeo copy` of the same image, into distribution 2.8 on this
//! machine.
//!
//! A cold push begins with an empty registry, and floe without memo, record or cache; skopeo reads an uncompressed
//! docker-archive, whose making is timed apart. floe reads the store, hashes every path, compresses and sends; skopeo
//! compresses and sends.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use floe_testkit::registry::distribution::{Configuration, Distribution};

use super::measure::{Runs, in_turn, once};
use super::report::Report;
use super::{Bench, Subject};
use crate::steps::Steps;

/// The image's name in the registry.
const IMAGE: &str = "bench/app:1";

/// Times all pushes of one closure.
pub(super) fn run(
    bench: &Bench,
    subject: &Subject,
    runs: usize,
    report: &mut Report,
    steps: &mut Steps,
) -> Result<()> {
    let archive = bench.work.path("archive.tar");
    steps.step("make the archive that skopeo reads", || {
        bench.work.clean()?;
        report.push_alone(
            "making the docker-archive",
            "without memo",
            &Runs(vec![once(&mut {
                let mut build = bench.floe(&format!("docker-archive:{}", archive.display()), subject, &[]);
                build.args(["--compression", "none"]);
                build
            })?]),
        );
        Ok(())
    })?;
    for compression in ["zstd", "gzip"] {
        steps.step(&format!("cold push, {compression}"), || {
            cold(bench, subject, compression, &archive, runs, report)
        })?;
    }
    steps.step("warm pushes", || warm(bench, subject, runs.max(5), report))?;
    fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))
}

/// Into an empty registry, in turn.
fn cold(
    bench: &Bench,
    subject: &Subject,
    compression: &str,
    archive: &Path,
    runs: usize,
    report: &mut Report,
) -> Result<()> {
    let registry = RefCell::new(None);
    let host = || registry.borrow().as_ref().map(Distribution::host).unwrap_or_default();
    let fresh = || {
        bench.work.clean()?;
        // The one before goes first, so that two never share the processors.
        drop(registry.take());
        registry.replace(Some(Distribution::start(Configuration::default())?));
        Ok(())
    };
    let floe = || {
        let mut push = bench.floe(&format!("docker://{}/{IMAGE}", host()), subject, &[]);
        push.args(["--compression", compression]);
        Ok(push)
    };
    let skopeo = || {
        let mut copy = Command::new("skopeo");
        copy.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "--format", "oci"]);
        copy.args(["--dest-compress-format", compression]);
        copy.arg(format!("docker-archive:{}", archive.display())).arg(format!("docker://{}/{IMAGE}", host()));
        Ok(copy)
    };
    let pair = in_turn(runs, &floe, &skopeo, &fresh)?;
    report.push_pair(&format!("cold, {compression}"), "skopeo copy", &pair);
    Ok(())
}

/// Over an image that is there: the same again, from a machine that never built it, and after an edit of a small
/// application beside the closure.
fn warm(bench: &Bench, subject: &Subject, runs: usize, report: &mut Report) -> Result<()> {
    bench.work.clean()?;
    let registry = Distribution::start(Configuration::default())?;
    let site = bench.work.path("site");
    fs::create_dir_all(&site)?;
    let edit = |text: &str| fs::write(site.join("page.html"), text);
    edit("first")?;
    let extra = [site.as_os_str().to_owned()];
    let push = || bench.floe(&format!("docker://{}/{IMAGE}", registry.host()), subject, &extra);
    once(&mut push())?;
    let mut samples = [const { Vec::new() }; 4];
    for round in 0..runs {
        samples[0].push(once(&mut push())?);
        edit(&format!("round {round}"))?;
        samples[1].push(once(&mut push())?);
        bench.work.clean()?;
        samples[2].push(once(&mut push())?);
        bench.work.clean()?;
        edit(&format!("fresh round {round}"))?;
        samples[3].push(once(&mut push())?);
    }
    let cases = [
        ("the same again", "with the memo"),
        ("after an edit of the application", "with the memo"),
        ("the same again", "from a fresh machine"),
        ("after an edit of the application", "from a fresh machine"),
    ];
    for ((case, machine), samples) in cases.into_iter().zip(samples) {
        report.push_alone(case, machine, &Runs(samples));
    }
    Ok(())
}

impl Bench {
    /// A build of a subject into a destination.
    fn floe(&self, destination: &str, subject: &Subject, extra: &[OsString]) -> Command {
        let mut command = Command::new(&self.floe);
        command.args(["--quiet", "build", "--name", "bench", "--to", destination]);
        command.args(&subject.roots).args(extra);
        command.env("XDG_CACHE_HOME", self.work.path("cache")).env("XDG_DATA_HOME", self.work.path("data"));
        command
    }
}
