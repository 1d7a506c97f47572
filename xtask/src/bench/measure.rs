//! Timing whole processes: wall time from here, processor time and peak memory from GNU time.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// One run of one command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Seconds from start to end.
    pub(super) wall: f64,
    /// Seconds of processor time, user and system.
    pub(super) cpu: f64,
    /// The most memory that one of its processes held, in bytes.
    pub(super) peak: u64,
}

/// Runs of one command.
#[derive(Clone, Debug)]
pub(super) struct Runs(pub(super) Vec<Sample>);

/// A case and its peer, run in turn.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// floe's runs.
    pub(super) floe: Runs,
    /// The peer's runs; as many.
    pub(super) peer: Runs,
}

impl Runs {
    /// Least, median and most of a figure.
    pub(super) fn spread(&self, figure: impl Fn(&Sample) -> f64) -> (f64, f64, f64) {
        spread(self.0.iter().map(figure).collect())
    }
}

impl Pair {
    /// Least, median and most of floe's wall time over the peer's, run by run.
    pub(super) fn ratio(&self) -> (f64, f64, f64) {
        spread(self.floe.0.iter().zip(&self.peer.0).map(|(floe, peer)| floe.wall / peer.wall).collect())
    }
}

fn spread(mut figures: Vec<f64>) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(figures.len() / 2), at(figures.len().saturating_sub(1)))
}

/// Runs two commands in turn, after one run of each that does not count; `rest` comes before each.
pub(super) fn in_turn(
    runs: usize,
    floe: &dyn Fn() -> Result<Command>,
    peer: &dyn Fn() -> Result<Command>,
    rest: &dyn Fn() -> Result<()>,
) -> Result<Pair> {
    let one = |make: &dyn Fn() -> Result<Command>| -> Result<Sample> {
        rest()?;
        once(&mut make()?)
    };
    one(floe)?;
    one(peer)?;
    let mut pair = Pair { floe: Runs(Vec::new()), peer: Runs(Vec::new()) };
    for _ in 0..runs {
        pair.floe.0.push(one(floe)?);
        pair.peer.0.push(one(peer)?);
    }
    Ok(pair)
}

/// Runs a command once.
pub(super) fn once(command: &mut Command) -> Result<Sample> {
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["--quiet", "--format", "%U %S %M", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    let start = Instant::now();
    let output = timed.output().context("cannot start /usr/bin/time: install Debian's package time")?;
    let wall = start.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{:?} failed with {}: {said}", command.get_program(), output.status);
    }
    let last = said.lines().last().unwrap_or_default();
    let figures: Vec<f64> = last.split(' ').filter_map(|figure| figure.parse().ok()).collect();
    let [user, system, peak] = figures.as_slice() else { bail!("cannot read '{last}' from /usr/bin/time") };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "GNU time counts whole kilobytes"
    )]
    let peak = *peak as u64 * 1024;
    Ok(Sample { wall, cpu: user + system, peak })
}
