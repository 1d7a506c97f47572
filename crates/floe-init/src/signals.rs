//! Signals as a queue: blocked in every thread, and taken one at a time by the one that waits for them.
//!
//! No handler ever runs, so there is nothing that a handler must not do; and the kernel's rule that PID 1 ignores
//! signals without a handler plays no part, since a blocked signal waits in the queue for PID 1 too (signal(7)).

#![expect(unsafe_code, reason = "the standard library has neither signal masks nor waits for signals")]

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// Faults of this program itself: blocked, they would end it without a word (sigprocmask(2), NOTES).
const FAULTS: [i32; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGSYS];

/// Signals that ask this program to end, before there is a program to pass them on to.
const ENDINGS: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// The queue; made once, before any thread.
pub(crate) struct Signals {
    blocked: libc::sigset_t,
    /// What was blocked before, which is what programs that are started should find.
    previous: libc::sigset_t,
}

impl Signals {
    /// Blocks every signal but faults in this thread and those that it starts.
    pub(crate) fn block() -> Self {
        let mut blocked = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the pointer is to a set of our own, which sigfillset initialises; it cannot fail for such a one.
        unsafe { libc::sigfillset(blocked.as_mut_ptr()) };
        // SAFETY: sigfillset initialised it.
        let mut blocked = unsafe { blocked.assume_init() };
        for fault in FAULTS {
            // SAFETY: the pointer is to an initialised set, the number is a signal's.
            unsafe { libc::sigdelset(&raw mut blocked, fault) };
        }
        let mut previous = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the first set is initialised, the second is written. It fails only for an unknown first argument.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const blocked, previous.as_mut_ptr()) };
        // SAFETY: pthread_sigmask wrote it.
        let previous = unsafe { previous.assume_init() };
        Self { blocked, previous }
    }

    /// Lets a command's program have the signals that were blocked here; the standard library passes the mask on.
    pub(crate) fn release_in(&self, command: &mut Command) {
        let previous = self.previous;
        let release = move || {
            // SAFETY: the set was written by pthread_sigmask; the old one is not asked for.
            let outcome =
                unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const previous, std::ptr::null_mut()) };
            if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        // SAFETY: between fork and exec only what is safe there may be called: sigprocmask is (signal-safety(7)), and
        // an error is made of a number alone.
        unsafe { command.pre_exec(release) };
    }

    /// Takes the next signal; `None` when none came within `timeout`. Without a timeout, waits for one.
    pub(crate) fn next(&self, timeout: Option<Duration>) -> Option<i32> {
        let no_information = std::ptr::null_mut();
        let timeout = timeout.map(|timeout| libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the set is initialised and blocked; the timeout is null or outlives the call.
        let signal = unsafe { libc::sigtimedwait(&raw const self.blocked, no_information, timeout) };
        (signal > 0).then_some(signal)
    }

    /// Takes the next signal that asks for an end within `timeout`, and drops others.
    pub(crate) fn ending(&self, timeout: Duration) -> Option<i32> {
        self.next(Some(timeout)).filter(|signal| ENDINGS.contains(signal))
    }
}

/// Wakes the thread that waits for signals, so that it looks at what another thread has done.
pub(crate) fn wake() {
    // A child's end is a signal that everyone who waits here expects without cause. It cannot fail for ourselves.
    kill_process(getpid(), Signal::CHILD).ok();
}

/// Sends a signal that arrived here on to a child that was not waited for yet; real-time signals too.
pub(crate) fn send(child: Pid, signal: i32) {
    // SAFETY: the call takes numbers alone. A child that has just ended is still there until it is waited for, so the
    // number is nobody else's, and nothing is left to do about an error.
    unsafe { libc::kill(child.as_raw_nonzero().get(), signal) };
}
