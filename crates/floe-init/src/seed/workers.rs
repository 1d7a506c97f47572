//! Several threads on one list of paths, largest first, so that no large one is left for the end.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use floe_store::PathInfo;

use super::progress::{Progress, Stop};

/// The most threads that are started unasked: a disk that is busy with eight gains nothing from more.
const MOST_THREADS: usize = 8;

/// How many threads to use where nothing is said.
pub(super) fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS)
}

/// Does `work` for each path, on up to `threads` threads; ends early with the first error, or when asked to stop.
pub(super) fn for_each<E: Send>(
    threads: usize,
    infos: &[&PathInfo],
    progress: &Progress,
    stop: &Stop,
    work: impl Fn(&PathInfo) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let mut largest_first = infos.to_vec();
    largest_first.sort_by_key(|info| (std::cmp::Reverse(info.nar_size), &info.path));
    let waiting = Mutex::new(largest_first.into_iter());
    let failed = AtomicBool::new(false);
    let next = || {
        // A thread that panicked between two paths has left the list as it was.
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.load(Ordering::Relaxed) || stop.is_asked() { None } else { waiting.next() }
    };
    let run = || {
        while let Some(info) = next() {
            let outcome = work(info);
            failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            outcome?;
            progress.add_path();
        }
        Ok(())
    };
    thread::scope(|scope| {
        let started: Vec<_> = (0..threads.clamp(1, infos.len().max(1))).map(|_| scope.spawn(run)).collect();
        let outcomes: Vec<Result<(), E>> = started
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        outcomes.into_iter().collect()
    })
}
