//! The terminal's foreground process group: who may read from the terminal, and whom Ctrl-C is meant for.

#![expect(
    unsafe_code,
    reason = "a child takes the foreground between fork and exec, with a promise about its calls"
)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::stdio::stdin;
use rustix::termios::{isatty, tcsetpgrp};

/// Makes the command's own process group the foreground one when standard input is a terminal, before it runs: a
/// program that reads while it is in the background is stopped by the kernel.
///
/// Signals must still be blocked there: a background process that takes the foreground is stopped otherwise
/// (tcsetpgrp(3)).
pub(super) fn take_for(command: &mut Command) {
    if isatty(stdin()) {
        // SAFETY: between fork and exec only what is safe there may be called: the function makes two system calls.
        unsafe { command.pre_exec(enter_foreground) };
    }
}

/// Runs in the child, which leads its process group by now.
fn enter_foreground() -> io::Result<()> {
    // A terminal that is not the controlling one has no foreground; the program runs all the same.
    tcsetpgrp(stdin(), rustix::process::getpid()).ok();
    Ok(())
}
