//! The page: what was measured, on what, with the spread.

use std::fs;
use std::process::Command;

use super::measure::{Pair, Runs, Sample};
use crate::terminal::say;

/// What the page says of its figures, before them.
const PREFACE: &str = "\
# Benchmarks

Written by `cargo xtask bench`. Each figure is a whole process, with the store in the page cache; a case and its peer
ran in turn on the same machine. Medians, with the least and the most in brackets; ratios are floe's wall time over the
peer's, run by run, so below 1 floe is faster.
";

/// What is said of pushes.
const PUSHES: &str = "\
Into distribution 2.8 on this machine, which shares the processors. Cold, the registry is empty and floe has no memo,
record or cache: it reads the store, checks every path's NAR hash, packs, compresses and sends. `skopeo copy` reads an
uncompressed docker-archive of the same image, which has to be made first, and compresses and sends. Each uses its own
default level: zstd 3 both, gzip 3 (floe) and skopeo's. Making the archive, which floe does not need, is not counted.

Wanted were three times skopeo's speed with zstd and one and a half with gzip, the copy alone counted. Both processors
are busy all the time: about half of floe's with zstd itself, a quarter with the three hashes, and the registry takes
more beside it. Three times as fast would leave less than the compressor alone needs.
";

/// What is said of builds.
const BUILDS: &str = "\
`floe build --to oci:`, cold of memo. floe also computes each path's NAR hash, the diff ID and the digest, and flushes
what it wrote; the peers hash and flush nothing. tar runs with --hard-dereference, so that both sides read and compress
the same bytes.
";

const PAIR_HEAD: &str = "\
| closure | case | floe | peer | peer's time | ratio | floe's processor time | floe's peak memory |
|---|---|---|---|---|---|---|---|
";

/// The figures as they come.
#[derive(Default)]
pub(super) struct Report {
    subjects: String,
    pairs: String,
    alone: String,
    sizes: String,
    push_pairs: String,
    pushes: String,
}

impl Report {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a closure.
    pub(super) fn subject(&mut self, name: &str, paths: usize, bytes: u64) {
        row(&mut self.subjects, &[name.to_owned(), paths.to_string(), megabytes(bytes)]);
    }

    /// Adds a build that has a peer.
    pub(super) fn pair(&mut self, subject: &str, case: &str, peer: &str, pair: &Pair) {
        let cells = [&[subject.to_owned()], pair_cells(case, peer, pair).as_slice()].concat();
        row(&mut self.pairs, &cells);
    }

    /// Adds a build without a peer.
    pub(super) fn alone(&mut self, subject: &str, case: &str, runs: &Runs) {
        let cells = [subject.to_owned(), case.to_owned(), seconds(runs.spread(|run| run.wall)), peak(runs)];
        row(&mut self.alone, &cells);
    }

    /// Adds a push that has a peer.
    pub(super) fn push_pair(&mut self, case: &str, peer: &str, pair: &Pair) {
        let mut cells = pair_cells(case, peer, pair);
        cells.push(peak(&pair.peer));
        row(&mut self.push_pairs, &cells);
    }

    /// Adds a push without a peer.
    pub(super) fn push_alone(&mut self, case: &str, machine: &str, runs: &Runs) {
        let cells = [case.to_owned(), machine.to_owned(), seconds(runs.spread(|run| run.wall)), peak(runs)];
        row(&mut self.pushes, &cells);
    }

    /// Adds a size.
    pub(super) fn size(&mut self, paths: usize, bytes: u64, runs: &Runs) {
        let (least, median, most) = runs.spread(|run| run.wall);
        #[expect(clippy::cast_precision_loss, reason = "sizes of closures are far below 2^53")]
        let gigabytes = bytes as f64 / 1e9;
        let each = format!("{:.2} s/GB", median / gigabytes);
        row(
            &mut self.sizes,
            &[paths.to_string(), megabytes(bytes), seconds((least, median, most)), each, peak(runs)],
        );
    }

    /// The whole page; sections without new figures are those of the page as it was.
    pub(super) fn page(&self, before: &str) -> String {
        let table =
            |rows: &str, head: &str| if rows.is_empty() { None } else { Some(format!("{head}{rows}")) };
        let sections = [
            ("Machine", Some(machine())),
            ("Closures", table(&self.subjects, "| closure | store paths | NAR size |\n|---|---|---|\n")),
            ("Beside tar and a compressor", table(&self.pairs, &format!("{BUILDS}\n{PAIR_HEAD}"))),
            ("Again", table(&self.alone, "| closure | case | floe | peak memory |\n|---|---|---|---|\n")),
            (
                "Three sizes",
                table(
                    &self.sizes,
                    "Cold, zstd: the time for each byte does not grow.\n\n\
                     | store paths | NAR size | floe | for each byte | peak memory |\n|---|---|---|---|---|\n",
                ),
            ),
            (
                "Pushing to a registry",
                table(
                    &self.push_pairs,
                    &format!(
                        "{PUSHES}\n| case | floe | peer | peer's time | ratio | floe's processor time \
                         | floe's peak memory | peer's peak memory |\n|---|---|---|---|---|---|---|---|\n"
                    ),
                ),
            ),
            (
                "Pushing over what is there",
                table(&self.pushes, "| case | machine | floe | peak memory |\n|---|---|---|---|\n"),
            ),
        ];
        let mut page = PREFACE.to_owned();
        for (title, new) in sections {
            if let Some(text) = new.or_else(|| section(before, title)) {
                page += &format!("\n## {title}\n\n{text}");
            }
        }
        page
    }
}

/// The text of a page's section.
fn section(page: &str, title: &str) -> Option<String> {
    let (_, text) = page.split_once(&format!("\n## {title}\n\n"))?;
    let text = text.split_once("\n## ").map_or(text, |(text, _)| text);
    Some(text.to_owned())
}

/// The cells of a case and its peer.
fn pair_cells(case: &str, peer: &str, pair: &Pair) -> Vec<String> {
    vec![
        case.to_owned(),
        seconds(pair.floe.spread(|run| run.wall)),
        peer.to_owned(),
        seconds(pair.peer.spread(|run| run.wall)),
        times(pair.ratio()),
        seconds(pair.floe.spread(|run| run.cpu)),
        peak(&pair.floe),
    ]
}

fn row(table: &mut String, cells: &[String]) {
    let line = format!("| {} |\n", cells.join(" | "));
    say(line.trim_end());
    table.push_str(&line);
}

fn seconds((least, median, most): (f64, f64, f64)) -> String {
    format!("{median:.2} s [{least:.2}–{most:.2}]")
}

fn times((least, median, most): (f64, f64, f64)) -> String {
    format!("**{median:.2}** [{least:.2}–{most:.2}]")
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

fn peak(runs: &Runs) -> String {
    megabytes(runs.0.iter().map(|run: &Sample| run.peak).max().unwrap_or_default())
}

/// The processor, the memory and the versions that matter.
fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
            .unwrap_or_else(|| "unknown".to_owned())
    };
    let version = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output();
        let text = output
            .map(|output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned());
        text.ok()
            .and_then(|text| text.lines().next().map(str::to_owned))
            .unwrap_or_else(|| "unknown".to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    format!(
        "- {} × {}, {} of memory\n- Linux {}\n- {}\n- {}\n- {}\n- {}\n- {}\n",
        cores,
        field("/proc/cpuinfo", "model name"),
        field("/proc/meminfo", "MemTotal"),
        fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        version("tar", "--version"),
        version("zstd", "--version"),
        version("pigz", "--version"),
        version("skopeo", "--version"),
        version("nix", "--version"),
    )
}
