//! Running a command to its end, with a bound on its time and an error that shows what it said.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for an engine to load a closure of several gigabytes on two busy cores.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);

/// What a command that succeeded wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error; bytes that are not UTF-8 are replaced.
    pub stderr: String,
}

/// A command did not do what the test needs.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command could not be started or waited for.
    #[error("cannot run `{command}`")]
    Run {
        /// The whole command line.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// The command ended with another exit status than 0.
    #[error("`{command}` failed with {status}\n{stderr}{stdout}")]
    Failed {
        /// The whole command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard output.
        stdout: String,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// The command was still running at the deadline, and was killed.
    #[error("`{command}` was still running after {timeout:?}\n{stderr}{stdout}")]
    TimedOut {
        /// The whole command line.
        command: String,
        /// How long it was given.
        timeout: Duration,
        /// What it wrote to standard output.
        stdout: String,
        /// What it wrote to standard error.
        stderr: String,
    },
}

/// Runs a command to its end and returns what it wrote.
///
/// Standard input is empty. The output goes through unnamed files, not pipes: a container's monitor may inherit them
/// and outlive the command, and a pipe would then never end.
///
/// # Errors
///
/// Any exit status but 0 is [`CommandError::Failed`]; after `timeout` the command is killed.
pub fn run(command: &mut Command, timeout: Duration) -> Result<Output, CommandError> {
    let line = command_line(command);
    let cannot_run = |source| CommandError::Run { command: line.clone(), source };

    let mut stdout = tempfile::tempfile().map_err(cannot_run)?;
    let mut stderr = tempfile::tempfile().map_err(cannot_run)?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone().map_err(cannot_run)?)
        .stderr(stderr.try_clone().map_err(cannot_run)?)
        .spawn()
        .map_err(cannot_run)?;

    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(cannot_run)? {
            break Some(status);
        }
        if Instant::now() >= deadline {
            child.kill().and_then(|()| child.wait()).map_err(cannot_run)?;
            break None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    };

    let stdout = read_from_start(&mut stdout).map_err(cannot_run)?;
    let stderr = read_from_start(&mut stderr).map_err(cannot_run)?;
    match status {
        Some(status) if status.success() => Ok(Output { stdout, stderr }),
        Some(status) => Err(CommandError::Failed { command: line, status, stdout, stderr }),
        None => Err(CommandError::TimedOut { command: line, timeout, stdout, stderr }),
    }
}

fn read_from_start(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn command_line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_what_was_written() {
        let output = run(Command::new("sh").args(["-c", "echo out; echo err >&2"]), COMMAND_TIMEOUT);
        let output = output.expect("sh is on every machine");
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn a_failure_shows_the_command_and_its_words() {
        let error = run(Command::new("sh").args(["-c", "echo no >&2; exit 3"]), COMMAND_TIMEOUT);
        let message = error.expect_err("the exit status is 3").to_string();
        assert_eq!(message, "`sh -c echo no >&2; exit 3` failed with exit status: 3\nno\n");
    }

    #[test]
    fn a_command_that_hangs_is_killed() {
        let started = Instant::now();
        let error = run(Command::new("sleep").arg("600"), Duration::from_millis(50));
        assert!(matches!(error, Err(CommandError::TimedOut { .. })), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
