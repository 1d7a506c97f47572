//! The program: started, sent what arrives, reaped with all others, and its end passed on.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use rustix::process::{Pid, WaitOptions, WaitStatus, getpid, set_child_subreaper, wait};

use super::terminal_group;
use crate::failure::{BAD_CONFIGURATION, FAILED, Failure, NOT_EXECUTABLE, NOT_FOUND, SIGNALLED};
use crate::signals::{self, Signals};

/// What to run.
pub(crate) struct Program<'a> {
    /// The program and its arguments; the program is looked for in the `PATH` of `variables`.
    pub(crate) words: &'a [OsString],
    pub(crate) variables: &'a BTreeMap<OsString, OsString>,
}

/// Runs a program to its end; returns the exit code to end with: the program's, or 128 and its signal's number.
pub(crate) fn supervise(program: &Program<'_>, signals: &Signals) -> Result<u8, Failure> {
    let Some((name, arguments)) = program.words.split_first() else {
        return Err(Failure::new(BAD_CONFIGURATION, "there is nothing to run")
            .hint("give the image a command, or put one after '--'"));
    };
    if getpid() != Pid::INIT {
        // Without it orphans go to another reaper, which is only less tidy.
        set_child_subreaper(Some(getpid())).ok();
    }
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(program.variables);
    command.process_group(0);
    terminal_group::take_for(&mut command);
    signals.release_in(&mut command);
    let child = command.spawn().map_err(|error| unstarted(name, &error))?;
    watch(&child, signals)
}

fn unstarted(name: &OsString, error: &io::Error) -> Failure {
    let name = name.to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound => Failure::new(NOT_FOUND, format!("cannot run {name}: no such program"))
            .hint("its path, the PATH of the image, and the loader or shell that it names must exist"),
        _ => Failure::new(NOT_EXECUTABLE, format!("cannot run {name}: {error}")),
    }
}

/// Passes signals on and reaps until the program has ended.
fn watch(child: &Child, signals: &Signals) -> Result<u8, Failure> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let id = id.ok_or_else(|| Failure::new(FAILED, "the system gave the program no process id"))?;
    loop {
        // Children that ended before the first wait have left a signal in the queue.
        let Some(signal) = signals.next(None) else { continue };
        if signal == libc::SIGCHLD {
            if let Some(status) = reap(id) {
                return Ok(status);
            }
        } else {
            signals::send(id, signal);
        }
    }
}

/// Takes the ends of all children that have ended; returns the program's when it is among them.
fn reap(program: Pid) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((id, status))) = wait(WaitOptions::NOHANG) {
        if id == program {
            code = exit_code(status).or(code);
        }
    }
    code
}

fn exit_code(status: WaitStatus) -> Option<u8> {
    let narrow = |number: i32| u8::try_from(number).ok();
    let exited = status.exit_status().and_then(narrow);
    let signalled =
        status.terminating_signal().and_then(narrow).map(|signal| SIGNALLED.saturating_add(signal));
    exited.or(signalled)
}
