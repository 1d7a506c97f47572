//! Running a program to its end, with errors that name the command line.

use std::io;
use std::process::{Command, ExitStatus, Stdio};

/// An error from running a program.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program could not be started, usually because it is not installed.
    #[error("cannot start `{command_line}`: is it installed? `cargo xtask install` installs what tests need")]
    Start {
        /// The program and its arguments.
        command_line: String,
        /// Why it could not be started.
        #[source]
        source: io::Error,
    },
    /// The program ran and reported failure.
    #[error("`{command_line}` failed with {status}:\n{complaint}")]
    Failed {
        /// The program and its arguments.
        command_line: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote on standard error, empty when that went to the terminal.
        complaint: String,
    },
    /// The program wrote something else than UTF-8 on standard output.
    #[error("`{command_line}` wrote output that is not UTF-8")]
    NotText {
        /// The program and its arguments.
        command_line: String,
    },
}

/// Runs `command`, whose output is kept back and shown only in the error.
///
/// # Errors
///
/// When it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<(), ProcessError> {
    run_for_bytes(command).map(drop)
}

/// Runs `command` and returns what it wrote on standard output.
///
/// # Errors
///
/// When it cannot be started, fails, or writes something else than UTF-8.
pub fn run_for_output(command: &mut Command) -> Result<String, ProcessError> {
    let stdout = run_for_bytes(command)?;
    String::from_utf8(stdout).map_err(|_| ProcessError::NotText { command_line: command_line(command) })
}

fn run_for_bytes(command: &mut Command) -> Result<Vec<u8>, ProcessError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ProcessError::Start { command_line: command_line(command), source })?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(ProcessError::Failed {
            command_line: command_line(command),
            status: output.status,
            complaint: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
        })
    }
}

/// The command as a person would type it, cut where it gets too long to read.
fn command_line(command: &Command) -> String {
    const READABLE: usize = 400;
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        if line.len() > READABLE {
            line.push_str(" …");
            break;
        }
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_command_line_and_what_it_complained_about() {
        let error = run(Command::new("sh").args(["-c", "echo no such luck >&2; exit 3"]))
            .expect_err("it exits with 3");
        let message = error.to_string();
        assert!(message.contains("`sh -c echo no such luck"), "{message}");
        assert!(message.contains("exit status: 3"), "{message}");
        assert!(message.ends_with("no such luck"), "{message}");
    }

    #[test]
    fn names_the_remedy_for_a_missing_program() {
        let error = run(&mut Command::new("floe-no-such-program")).expect_err("there is no such program");
        assert!(error.to_string().contains("cargo xtask install"), "{error}");
    }
}
