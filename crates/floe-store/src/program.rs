//! A Nix program, run: `nix` or `nix-store` as a process whose output is bounded.
//!
//! A command comes in; its standard output goes out whole, its standard error line by line.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

/// Lines of standard error that a failure keeps: enough for Nix's trace and its reason.
const KEPT_LINES: usize = 20;

/// Bytes of one line of standard error; a longer line comes in pieces.
const LONGEST_LINE: u64 = 16 * 1024;

/// Bytes of standard output that are read before the program is stopped. Closures of 100,000 paths stay below it.
const OUTPUT_LIMIT: u64 = 512 * 1024 * 1024;

/// Why a Nix program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RunNixError {
    /// The program is not on this machine.
    #[error("{program} is not installed: no such program on PATH")]
    NotInstalled {
        /// The program that was looked for.
        program: String,
    },
    /// The program is there and cannot be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Its output could not be read.
    #[error("cannot read what {program} writes")]
    Pipe {
        /// The program.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It wrote more than a closure's description can be; it was stopped to save memory.
    #[error("{program} wrote more than {limit} bytes")]
    TooMuchOutput {
        /// The program.
        program: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// It ran and failed.
    #[error("{program} failed ({status}){}", reason(last_lines))]
    Failed {
        /// The program and its subcommand.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its standard error; empty when they went straight to the terminal.
        last_lines: Vec<String>,
    },
}

/// The line that says why: the last one that begins with `error:`, else the last one.
fn reason(last_lines: &[String]) -> String {
    let lines = || last_lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    let said = lines().rfind(|line| line.starts_with("error:")).or_else(|| lines().next_back());
    said.map(|line| format!(": {}", line.trim_start_matches("error:").trim())).unwrap_or_default()
}

/// Where a program's standard error goes.
pub(crate) enum StandardError<'a> {
    /// To this process's own standard error, so that Nix draws its progress itself.
    Inherited,
    /// To a function, line by line, without line ends; bytes that are not UTF-8 are replaced.
    Lines(&'a mut dyn FnMut(&str)),
}

/// Runs a program to its end and returns its standard output.
///
/// # Errors
/// When it cannot be started or read, or ends with another status than success.
pub(crate) fn run(command: &mut Command, standard_error: StandardError<'_>) -> Result<Vec<u8>, RunNixError> {
    run_bounded(command, standard_error, OUTPUT_LIMIT)
}

fn run_bounded(
    command: &mut Command,
    standard_error: StandardError<'_>,
    limit: u64,
) -> Result<Vec<u8>, RunNixError> {
    let program = name(command);
    let inherited = matches!(standard_error, StandardError::Inherited);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(if inherited {
        Stdio::inherit()
    } else {
        Stdio::piped()
    });
    let mut child = command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            RunNixError::NotInstalled { program: command.get_program().to_string_lossy().into_owned() }
        }
        _ => RunNixError::Start { program: program.clone(), source },
    })?;
    let outcome = read_both(&mut child, standard_error, limit, &program);
    if outcome.is_err() {
        // The first error is the one to report; the process may have ended by itself meanwhile.
        drop(child.kill());
    }
    let status = child.wait().map_err(|source| RunNixError::Pipe { program: program.clone(), source })?;
    let (output, last_lines) = outcome?;
    if status.success() { Ok(output) } else { Err(RunNixError::Failed { program, status, last_lines }) }
}

/// The program's name with its subcommand, such as `nix path-info`.
fn name(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let is_word =
        |argument: &&OsStr| argument.to_string_lossy().starts_with(|c: char| c.is_ascii_lowercase());
    match command.get_args().next().filter(is_word) {
        Some(subcommand) => format!("{program} {}", subcommand.to_string_lossy()),
        None => program,
    }
}

fn read_both(
    child: &mut Child,
    standard_error: StandardError<'_>,
    limit: u64,
    program: &str,
) -> Result<(Vec<u8>, Vec<String>), RunNixError> {
    let pipe = |source| RunNixError::Pipe { program: program.to_owned(), source };
    let mut stdout = child.stdout.take().expect("standard output was asked for as a pipe");
    let stderr = child.stderr.take();
    thread::scope(|scope| {
        let output = scope.spawn(move || {
            let mut output = Vec::new();
            // One byte past the limit tells a full output from one that is too long; dropping the pipe ends the program.
            stdout.by_ref().take(limit + 1).read_to_end(&mut output).map(|_| output)
        });
        let mut last_lines = VecDeque::new();
        if let (Some(stderr), StandardError::Lines(show)) = (stderr, standard_error) {
            each_line(BufReader::new(stderr), |line| {
                show(line);
                if last_lines.len() == KEPT_LINES {
                    last_lines.pop_front();
                }
                last_lines.push_back(line.to_owned());
            })
            .map_err(pipe)?;
        }
        let output = output.join().expect("reading a pipe does not panic").map_err(pipe)?;
        if output.len() as u64 > limit {
            return Err(RunNixError::TooMuchOutput { program: program.to_owned(), limit });
        }
        Ok((output, last_lines.into()))
    })
}

fn each_line(mut reader: impl BufRead, mut show: impl FnMut(&str)) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        show(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn returns_output_and_shows_lines() {
        let mut seen = Vec::new();
        let mut show = |line: &str| seen.push(line.to_owned());
        let output =
            run(&mut shell("echo out; echo one >&2; printf two >&2"), StandardError::Lines(&mut show));
        assert_eq!(output.expect("a program that succeeds"), b"out\n");
        assert_eq!(seen, ["one", "two"]);
    }

    #[test]
    fn tells_failures_apart() {
        let mut show = |_: &str| {};
        let failed = run(
            &mut shell("echo warning: x >&2; echo error: no luck >&2; echo more >&2; exit 7"),
            StandardError::Lines(&mut show),
        );
        let message = failed.expect_err("a failing program").to_string();
        assert_eq!(message, "/bin/sh failed (exit status: 7): no luck");
        let missing = run(&mut Command::new("no-such-program-anywhere"), StandardError::Lines(&mut show));
        assert!(matches!(missing, Err(RunNixError::NotInstalled { .. })));
        let endless = run_bounded(&mut shell("yes"), StandardError::Lines(&mut show), 4096);
        assert!(matches!(endless, Err(RunNixError::TooMuchOutput { .. })));
    }
}
