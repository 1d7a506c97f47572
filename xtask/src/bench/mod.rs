//! `cargo xtask bench [PART...]`: floe beside its peers in one run, written to `docs/benchmarks.md`.
//!
//! Every figure is a whole process: wall time, processor time and peak memory as the system accounts them. A
//! case and its peer run in turn (A B A B …), so that a drift of the machine's speed hits both; ratios are taken
//! pair by pair. Medians are quoted, with the least and the most beside them.

pub(crate) mod layers;

mod measure;
mod registry;
mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use floe_testkit::debian::{self, BuiltClosure};
use floe_testkit::machine;

use self::measure::{Runs, Sample, in_turn, once};
use self::report::Report;
use crate::demo::release_binary;
use crate::install;
use crate::steps::{Steps, cargo, stream, workspace};

/// Runs of each case on the large closure, and on the small one.
const LARGE_RUNS: usize = 3;
const SMALL_RUNS: usize = 7;

/// Parts of the page that can be made alone.
const PARTS: [&str; 2] = ["build", "registry"];

/// Builds what is compared, times all parts or the named ones, and writes the page; a part that is not timed keeps the
/// figures that it had.
pub(crate) fn run(parts: &[&str]) -> Result<()> {
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(part)) {
        bail!("no part {unknown}: expected {}", PARTS.join(" or "));
    }
    let wants = |part: &str| parts.is_empty() || parts.contains(&part);
    let mut steps = Steps::default();
    steps.step("install what is missing", install::run)?;
    steps
        .step("build floe", || stream(&mut cargo(["build", "--release", "--package", "floe", "--locked"])))?;
    let developer = steps.step("build the developer's closure", || Ok(debian::developer_closure()?))?;
    let bench = Bench { floe: release_binary("floe")?, work: Work::new()? };
    let large = bench.subject("developer", &developer)?;

    let mut report = Report::new();
    if wants("build") {
        let node = steps.step("build the Node closure", || Ok(debian::node_closure()?))?;
        let small = bench.subject("Node", &node)?;
        for (subject, runs) in [(&small, SMALL_RUNS), (&large, LARGE_RUNS)] {
            report.subject(&subject.name, subject.paths.len(), subject.bytes);
            let name = &subject.name;
            steps.step(&format!("{name}: cold build"), || bench.cold(subject, runs, &mut report))?;
            steps.step(&format!("{name}: warm build"), || bench.warm(subject, runs, &mut report))?;
        }
        steps.step("three sizes", || bench.sizes(&developer, &mut report))?;
    }
    if wants("registry") {
        registry::run(&bench, &large, LARGE_RUNS, &mut report, &mut steps)?;
    }
    let page = workspace().join("docs/benchmarks.md");
    let before = fs::read_to_string(&page).unwrap_or_default();
    fs::write(&page, report.page(&before)).with_context(|| format!("cannot write {}", page.display()))?;
    steps.finish();
    Ok(())
}

/// A closure that is packed.
struct Subject {
    name: String,
    roots: Vec<PathBuf>,
    paths: Vec<String>,
    bytes: u64,
}

/// What is timed, and where it writes.
struct Bench {
    floe: PathBuf,
    work: Work,
}

impl Bench {
    fn subject(&self, name: &str, closure: &BuiltClosure) -> Result<Subject> {
        subject(name, &closure.roots)
    }

    /// `floe build --to oci:` without a memo beside tar and a compressor.
    fn cold(&self, subject: &Subject, runs: usize, report: &mut Report) -> Result<()> {
        let list = self.work.write("paths", &subject.paths.join("\n"))?;
        for (compression, peer) in [("zstd", "zstd -3 -T0"), ("gzip", "pigz -6")] {
            let shell = format!(
                "tar --create --hard-dereference --files-from {} --absolute-names | {peer} > {}",
                list.display(),
                self.work.path("peer").display()
            );
            // Without --hard-dereference tar would read a tenth less: it keeps the store's hard links, which a
            // layer must not show, since an optimised store holds the same paths.
            let floe = || self.build(subject, compression, &[], true);
            let tar = || Ok(self.shell(&shell));
            let pair = in_turn(runs, &floe, &tar, &|| self.work.clean())?;
            report.pair(&subject.name, &format!("cold, {compression}"), &format!("tar \\| {peer}"), &pair);
        }
        Ok(())
    }

    /// The same build again; then with one small path changed.
    fn warm(&self, subject: &Subject, runs: usize, report: &mut Report) -> Result<()> {
        self.work.clean()?;
        let site = self.work.path("site");
        fs::create_dir_all(&site)?;
        fs::write(site.join("page.html"), "first")?;
        let extra = [site.as_os_str().to_owned()];
        once(&mut self.build(subject, "zstd", &extra, false)?)?;
        let mut again = Vec::new();
        let mut changed = Vec::new();
        for round in 0..runs {
            again.push(once(&mut self.build(subject, "zstd", &extra, false)?)?);
            fs::write(site.join("page.html"), format!("round {round}"))?;
            changed.push(once(&mut self.build(subject, "zstd", &extra, false)?)?);
        }
        report.alone(&subject.name, "the same build again", &Runs(again));
        report.alone(&subject.name, "after one small path changed", &Runs(changed));
        Ok(())
    }

    /// Cold builds of three sizes: time for each byte should not grow.
    fn sizes(&self, developer: &BuiltClosure, report: &mut Report) -> Result<()> {
        for share in [8, 3, 1] {
            let roots: Vec<PathBuf> =
                developer.roots.iter().take(developer.roots.len().div_ceil(share)).cloned().collect();
            let subject = subject("part", &roots)?;
            let mut runs: Vec<Sample> = Vec::new();
            for _ in 0..3 {
                self.work.clean()?;
                runs.push(once(&mut self.build(&subject, "zstd", &[], true)?)?);
            }
            report.size(subject.paths.len(), subject.bytes, &Runs(runs));
        }
        Ok(())
    }

    /// One build into a layout; `fresh` takes the memo away first.
    fn build(
        &self,
        subject: &Subject,
        compression: &str,
        extra: &[std::ffi::OsString],
        fresh: bool,
    ) -> Result<Command> {
        if fresh {
            self.work.clean()?;
        }
        let mut command = Command::new(&self.floe);
        command.args(["--quiet", "build", "--name", "bench", "--compression", compression, "--to"]);
        command.arg(format!("oci:{}", self.work.path("layout").display()));
        command.args(&subject.roots).args(extra);
        command.env("XDG_CACHE_HOME", self.work.path("cache")).env("XDG_DATA_HOME", self.work.path("data"));
        Ok(command)
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    }
}

/// The closure of some roots, as `nix-store` tells it.
fn subject(name: &str, roots: &[PathBuf]) -> Result<Subject> {
    let query = |what: &str, paths: &[PathBuf]| -> Result<Vec<String>> {
        let output =
            machine::run_for_output(machine::nix_command("nix-store").args(["--query", what]).args(paths))?;
        Ok(output.lines().map(str::to_owned).collect())
    };
    let paths = query("--requisites", roots)?;
    let all: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let bytes = query("--size", &all)?.iter().filter_map(|size| size.parse::<u64>().ok()).sum();
    Ok(Subject { name: name.to_owned(), roots: roots.to_vec(), paths, bytes })
}

/// The folder that everything is written to; gone at the end.
struct Work {
    folder: PathBuf,
}

impl Work {
    fn new() -> Result<Self> {
        let folder = workspace().join("target/bench");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Takes away what a run left, so that the next one begins cold, and lets the disk come to rest.
    fn clean(&self) -> Result<()> {
        for name in ["layout", "cache", "data", "peer"] {
            remove(&self.path(name))?;
        }
        rustix::fs::sync();
        Ok(())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What stays is below target, where nobody minds.
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
