//! How far a run has come, and whether it was asked to stop: what its threads share with the one that waits.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::terminal::{quantity, say};

/// Silence before the first line: most starts find everything done.
const QUIET: Duration = Duration::from_secs(2);

/// Between two lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Set once, when a signal asks for an end.
#[derive(Debug, Default)]
pub(crate) struct Stop(AtomicBool);

impl Stop {
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts of one run.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    paths: AtomicUsize,
    all_paths: AtomicUsize,
    bytes: AtomicU64,
    all_bytes: AtomicU64,
}

impl Progress {
    /// Says how much there is to do; bytes are those of the NARs' contents.
    pub(super) fn expect(&self, paths: usize, bytes: u64) {
        self.all_paths.store(paths, Ordering::Relaxed);
        self.all_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_path(&self) {
        self.paths.fetch_add(1, Ordering::Relaxed);
    }

    fn line(&self) -> Option<String> {
        let all_paths = self.all_paths.load(Ordering::Relaxed);
        let paths = self.paths.load(Ordering::Relaxed);
        let bytes = quantity(self.bytes.load(Ordering::Relaxed));
        let all_bytes = quantity(self.all_bytes.load(Ordering::Relaxed));
        (all_paths > 0).then(|| format!("{paths} of {all_paths} store paths, {bytes} of {all_bytes}"))
    }
}

/// Says from time to time how far a run has come.
pub(super) struct Reporter {
    begin: Instant,
    next: Duration,
    what: &'static str,
}

impl Reporter {
    /// `what` begins each line, such as `seeded`.
    pub(super) fn new(what: &'static str) -> Self {
        Self { begin: Instant::now(), next: QUIET, what }
    }

    /// Says a line when it is time.
    pub(super) fn tick(&mut self, progress: &Progress) {
        if self.begin.elapsed() >= self.next {
            self.next = self.begin.elapsed() + INTERVAL;
            if let Some(line) = progress.line() {
                say(&format!("{} {line}", self.what));
            }
        }
    }

    pub(super) fn elapsed(&self) -> String {
        let elapsed = self.begin.elapsed();
        format!("{}.{} s", elapsed.as_secs(), elapsed.subsec_millis() / 100)
    }
}
