//! Why this program ends without having done its work: what to say, which hints, which exit code.

use std::error::Error;

/// Ended well.
pub(crate) const DONE: u8 = 0;

/// Could not be done.
pub(crate) const FAILED: u8 = 1;

/// The command line is wrong.
pub(crate) const BAD_USAGE: u8 = 2;

/// What was waited for did not come in time (sysexits.h, `EX_TEMPFAIL`): another start may succeed.
pub(crate) const NOT_READY: u8 = 75;

/// The container is set up wrongly (sysexits.h, `EX_CONFIG`): another start cannot succeed.
pub(crate) const BAD_CONFIGURATION: u8 = 78;

/// The program cannot be executed (POSIX shells).
pub(crate) const NOT_EXECUTABLE: u8 = 126;

/// The program is not there (POSIX shells).
pub(crate) const NOT_FOUND: u8 = 127;

/// What a signal's number is added to (POSIX shells).
pub(crate) const SIGNALLED: u8 = 128;

/// The end of this program, as people read it and as its parent sees it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Each is a line of its own, such as one for each variable at fault.
    pub(crate) messages: Vec<String>,
    pub(crate) hints: Vec<String>,
    pub(crate) exit_code: u8,
}

impl Failure {
    /// A failure with one message.
    pub(crate) fn new(exit_code: u8, message: impl Into<String>) -> Self {
        Self { messages: vec![message.into()], hints: Vec::new(), exit_code }
    }

    /// A failure that says an error and each of its causes.
    pub(crate) fn of(exit_code: u8, error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(exit_code, message)
    }

    /// The end that a signal asked for while there was no program yet; what was begun is left so that the next
    /// start goes on with it.
    pub(crate) fn stopped(signal: i32, during: &str) -> Self {
        let exit_code = SIGNALLED.saturating_add(u8::try_from(signal).unwrap_or_default());
        Self::new(exit_code, format!("stopped by signal {signal} while {during}"))
    }

    /// Adds a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}
