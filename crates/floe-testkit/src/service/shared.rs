//! One service for all the tests of a process that run at the same time.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A place for a service that starts when a test first asks, and stops when the last test lets go.
///
/// A static is never dropped, so a service kept in one would outlive the tests; this keeps only a weak reference. A
/// later test starts it anew, which costs a third of a second for the slowest engine.
#[derive(Debug)]
pub struct Shared<T> {
    // Invariant: held while a service starts, so that two tests never start two.
    running: Mutex<Weak<T>>,
}

impl<T> Shared<T> {
    /// Returns an empty place; for a `static`.
    pub const fn new() -> Self {
        Self { running: Mutex::new(Weak::new()) }
    }

    /// Returns the running service, or starts it.
    ///
    /// # Errors
    ///
    /// What `start` returns; the next caller tries again.
    pub fn or_start<E>(&self, start: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        // A poisoned lock means that a start panicked: the reference is still either dead or good.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(service) = running.upgrade() {
            return Ok(service);
        }
        let service = Arc::new(start()?);
        *running = Arc::downgrade(&service);
        Ok(service)
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_once_while_held_and_anew_afterwards() {
        let place = Shared::new();
        let first = place.or_start(|| Ok::<_, ()>(1)).expect("start returns a service");
        let second = place.or_start(|| Ok::<_, ()>(2)).expect("the first is running");
        assert_eq!((*first, *second), (1, 1));
        drop((first, second));
        assert_eq!(place.or_start(|| Ok::<_, ()>(3)).as_deref(), Ok(&3));
    }
}
