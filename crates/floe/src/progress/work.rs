//! How far a piece of work is: counters that many threads add to, and what they come to at one moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::terminal;

/// One piece of work.
pub(super) struct Work {
    /// Bytes that were moved.
    moved: AtomicU64,
    /// Bytes that need not be moved.
    spared: AtomicU64,
    state: Mutex<State>,
}

/// What is known besides bytes.
struct State {
    phase: String,
    /// When the first byte could have moved.
    started: Instant,
    total_bytes: u64,
    blobs_done: usize,
    total_blobs: usize,
    under_way: BTreeMap<u64, Arc<UnderWay>>,
}

/// A blob that is under way.
pub(super) struct UnderWay {
    pub(super) name: String,
    pub(super) total_bytes: u64,
    moved: AtomicU64,
}

/// How far work is at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) phase: String,
    pub(super) total_bytes: u64,
    pub(super) blobs_done: usize,
    pub(super) total_blobs: usize,
    pub(super) moved: u64,
    pub(super) spared: u64,
    pub(super) elapsed: Duration,
    /// Each blob under way: name, bytes moved, bytes in all.
    pub(super) under_way: Vec<(String, u64, u64)>,
}

impl Work {
    pub(super) fn new() -> Self {
        let state = State {
            phase: String::new(),
            started: Instant::now(),
            total_bytes: 0,
            blobs_done: 0,
            total_blobs: 0,
            under_way: BTreeMap::new(),
        };
        Self { moved: AtomicU64::new(0), spared: AtomicU64::new(0), state: Mutex::new(state) }
    }

    pub(super) fn name_phase(&self, name: &str) {
        name.clone_into(&mut self.state().phase);
    }

    pub(super) fn plan(&self, blobs: usize, bytes: u64) {
        let mut state = self.state();
        state.started = Instant::now();
        state.total_blobs = blobs;
        state.total_bytes = bytes;
    }

    /// Counts a blob that begins, under a number of its own.
    pub(super) fn begin(&self, name: &str, bytes: u64) -> (u64, Arc<UnderWay>) {
        let blob = Arc::new(UnderWay { name: name.to_owned(), total_bytes: bytes, moved: AtomicU64::new(0) });
        let mut state = self.state();
        let number = state.under_way.last_key_value().map_or(0, |(number, _)| number + 1);
        state.under_way.insert(number, Arc::clone(&blob));
        (number, blob)
    }

    pub(super) fn advance(&self, blob: &UnderWay, bytes: u64) {
        blob.moved.fetch_add(bytes, Ordering::Relaxed);
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a blob that is under way no more, done or not.
    pub(super) fn end(&self, number: u64) {
        self.state().under_way.remove(&number);
    }

    /// Counts a blob that is done, and bytes of it that were not moved.
    pub(super) fn count_done(&self, spared: u64) {
        self.spared.fetch_add(spared, Ordering::Relaxed);
        self.state().blobs_done += 1;
    }

    pub(super) fn moment(&self) -> Moment {
        let state = self.state();
        Moment {
            phase: state.phase.clone(),
            total_bytes: state.total_bytes,
            blobs_done: state.blobs_done,
            total_blobs: state.total_blobs,
            moved: self.moved.load(Ordering::Relaxed),
            spared: self.spared.load(Ordering::Relaxed),
            elapsed: state.started.elapsed(),
            under_way: state
                .under_way
                .values()
                .map(|blob| (blob.name.clone(), blob.moved(), blob.total_bytes))
                .collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked cannot have left counters half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// Bytes of the blob that were moved.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed).min(self.total_bytes)
    }
}

impl Moment {
    /// Bytes that are done with, moved or not.
    pub(super) fn done(&self) -> u64 {
        self.moved.saturating_add(self.spared).min(self.total_bytes)
    }

    /// The time that the rest takes at the rate so far, or `None` before there is a rate.
    fn left(&self) -> Option<Duration> {
        let rest = u128::from(self.total_bytes.checked_sub(self.done())?);
        let milliseconds = (rest * self.elapsed.as_millis()).checked_div(u128::from(self.moved))?;
        u64::try_from(milliseconds).ok().map(Duration::from_millis)
    }

    /// `1.20 GB of 3.20 GB`.
    pub(super) fn bytes(&self) -> String {
        format!("{} of {}", terminal::size(self.done()), terminal::size(self.total_bytes))
    }

    /// `400 MB/s, 12 of 40 done, 2 s left`.
    pub(super) fn rate(&self) -> String {
        let rate = terminal::rate(self.moved, self.elapsed);
        let left = self
            .left()
            .map_or_else(String::new, |left| format!(", {} left", terminal::duration(whole_seconds(left))));
        format!("{rate}, {} of {} done{left}", self.blobs_done, self.total_blobs)
    }

    /// The moment in a line.
    pub(super) fn line(&self) -> String {
        if self.total_bytes == 0 {
            return format!("{}: {}", self.phase, terminal::duration(self.elapsed));
        }
        format!("{}: {}, {}", self.phase, self.bytes(), self.rate())
    }

    /// The moment as an event; docs/output.md lists its fields.
    pub(super) fn event(&self) -> serde_json::Value {
        let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let under_way: Vec<_> = self
            .under_way
            .iter()
            .map(|(name, moved, total)| json!({ "name": name, "bytes": moved, "totalBytes": total }))
            .collect();
        json!({
            "event": "progress",
            "phase": self.phase,
            "bytes": self.done(),
            "totalBytes": self.total_bytes,
            "blobs": self.blobs_done,
            "totalBlobs": self.total_blobs,
            "elapsedMilliseconds": milliseconds(self.elapsed),
            "leftMilliseconds": self.left().map(milliseconds),
            "underWay": under_way,
        })
    }
}

/// What is left is an estimate: parts of a second would only flicker.
fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_millis() >= 500))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_far_work_is() {
        let moment = Moment {
            phase: "packing".to_owned(),
            total_bytes: 3_200_000_000,
            blobs_done: 12,
            total_blobs: 40,
            moved: 800_000_000,
            spared: 1_600_000_000,
            elapsed: Duration::from_secs(2),
            under_way: vec![("nodejs".to_owned(), 5, 10)],
        };
        assert_eq!(moment.line(), "packing: 2.40 GB of 3.20 GB, 400 MB/s, 12 of 40 done, 2.0 s left");
        let event = moment.event();
        assert_eq!(event["bytes"], json!(2_400_000_000_u64));
        assert_eq!(event["leftMilliseconds"], json!(2000));
        assert_eq!(event["underWay"], json!([{ "name": "nodejs", "bytes": 5, "totalBytes": 10 }]));
        let before = Moment {
            phase: "reading the closure".to_owned(),
            elapsed: Duration::from_millis(1500),
            ..Moment::default()
        };
        assert_eq!(before.line(), "reading the closure: 1.5 s");
        assert_eq!(before.left(), None);
    }

    #[test]
    fn counts_blobs_that_are_under_way() {
        let work = Work::new();
        work.plan(3, 100);
        let (first, one) = work.begin("one", 40);
        let (second, two) = work.begin("two", 50);
        work.advance(&one, 40);
        work.advance(&two, 5);
        work.end(first);
        work.count_done(0);
        work.count_done(10);
        let moment = work.moment();
        assert_eq!((moment.done(), moment.blobs_done), (55, 2));
        assert_eq!(moment.under_way, [("two".to_owned(), 5, 50)]);
        work.end(second);
        assert_eq!(work.moment().under_way, []);
    }
}
