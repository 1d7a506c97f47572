//! The same work for many items, a few at a time, on threads that end with the call.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Does `work` for each item, at most `limit` at once, beginning in order. The first error stops what has not begun
/// and is returned once all that has begun has ended.
pub(crate) fn for_each<T: Sync, E: Send>(
    items: &[T],
    limit: usize,
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    if let [item] = items {
        return work(item);
    }
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failure = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..limit.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while !stopped.load(Ordering::Relaxed)
                    && let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if let Err(error) = work(item) {
                        stopped.store(true, Ordering::Relaxed);
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            });
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
