//! A failure: what went wrong, whose fault it is, and what to do about it; and the exit codes.
//!
//! Commands return [`Failure`]; [`crate::terminal::Terminal::failure`] shows it, and its kind becomes the
//! process's exit code. Any error turns into a failure of kind [`Kind::Failed`] by `?`.

use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use crate::configuration::ConfigurationErrors;
use crate::terminal;

/// Whose fault a failure is, and so the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It could not be done: exit code 1.
    Failed,
    /// It was asked for wrongly, by flags or by `floe.toml`: exit code 2.
    Usage,
    /// Whoever read standard output went away (`floe images | head -1`): exit code 3, and no message.
    BrokenPipe,
    /// floe itself is wrong: exit code 255.
    Bug,
}

impl Kind {
    /// The exit code, which `floe --help` documents.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::BrokenPipe => 3,
            Self::Bug => 255,
        }
    }
}

/// What went wrong, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whose fault it is.
    pub(crate) kind: Kind,
    /// What went wrong; its sources are shown too.
    pub(crate) error: anyhow::Error,
    /// What to do about it, one sentence each.
    pub(crate) hints: Vec<String>,
}

/// What a command returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// Something that could not be done.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, error: anyhow::Error::msg(message.into()), hints: Vec::new() }
    }

    /// Something that was asked for wrongly.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { kind: Kind::Usage, error: error.into(), hints: Vec::new() }
    }

    /// Something that was asked for wrongly, in words.
    pub(crate) fn bad_usage(message: impl Into<String>) -> Self {
        Self::usage(anyhow::Error::msg(message.into()))
    }

    /// Standard output could not be written: a quiet exit where its reader went away.
    pub(crate) fn writing_stdout(error: io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::BrokenPipe { Kind::BrokenPipe } else { Kind::Failed };
        let error = anyhow::Error::new(error).context("cannot write to standard output");
        Self { kind, error, hints: Vec::new() }
    }

    /// The same failure with one more hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.exit_code())
    }

    /// The failure for people: `error: …`, its causes, its hints, each in a line.
    pub(crate) fn render(&self) -> String {
        if let Some(errors) = self.configuration_errors() {
            return self.hints.iter().fold(errors.render(), |text, hint| text + "hint: " + hint + "\n");
        }
        let mut text = String::new();
        for (depth, message) in self.messages().iter().enumerate() {
            let label = if depth == 0 { "error" } else { "  caused by" };
            // A message of several lines, such as a program's output, stays together by its indent.
            let message = message.trim_end().replace('\n', "\n    ");
            writeln!(text, "{label}: {message}").expect("a string takes text");
        }
        for hint in &self.hints {
            writeln!(text, "hint: {hint}").expect("a string takes text");
        }
        text
    }

    /// The failure for machines, one line.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let mut messages = self.messages();
        let error = messages.remove(0);
        let hints = self.all_hints();
        serde_json::json!({ "error": error, "causes": messages, "hints": hints, "exit": self.kind.exit_code() })
    }

    /// The failure in one line, its causes behind colons.
    pub(crate) fn line(&self) -> String {
        let messages = self.messages().into_iter();
        // A message of several lines, such as a program's output, becomes one.
        let lines = messages.map(|message| message.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join(": ")
    }

    /// Every hint: those of a `floe.toml`'s problems, then the failure's own.
    pub(crate) fn all_hints(&self) -> Vec<String> {
        let mut hints = self.configuration_errors().map_or_else(Vec::new, ConfigurationErrors::hints);
        hints.extend(self.hints.iter().cloned());
        hints
    }

    /// The problems of a `floe.toml`, which show themselves at their lines.
    fn configuration_errors(&self) -> Option<&ConfigurationErrors> {
        self.error.chain().find_map(|error| error.downcast_ref())
    }

    /// The error's message and those of its causes, without those that say nothing new; at least one.
    fn messages(&self) -> Vec<String> {
        if let Some(errors) = self.configuration_errors() {
            return vec![errors.to_string()];
        }
        let mut messages: Vec<String> = Vec::new();
        for message in self.error.chain().map(|error| printable(&error.to_string())) {
            if !messages.iter().any(|earlier| earlier.contains(&message)) {
                messages.push(message);
            }
        }
        if messages.is_empty() {
            messages.push("unknown error".to_owned());
        }
        messages
    }
}

/// A message without control characters but line ends: words from outside must not steer the terminal.
fn printable(message: &str) -> String {
    message.chars().filter(|character| !character.is_control() || *character == '\n').collect()
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    /// A disk without room gets its hint here, since any part of floe may be the one that finds it full.
    fn from(error: E) -> Self {
        let error = error.into();
        let hint = match io_kind(&error) {
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                Some("make room there, or name another place; what was begun is removed again")
            }
            Some(io::ErrorKind::ReadOnlyFilesystem) => Some("name a place that can be written to"),
            _ => None,
        };
        Self { kind: Kind::Failed, error, hints: hint.map(str::to_owned).into_iter().collect() }
    }
}

/// What the system said, where it is the cause of an error.
pub(crate) fn io_kind(error: &anyhow::Error) -> Option<io::ErrorKind> {
    error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// Shows a panic as what it is: a bug in floe, with all that a report needs.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let payload = panic.payload();
        let message = (payload.downcast_ref::<&str>().copied())
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let backtrace = std::backtrace::Backtrace::capture();
        let trace = match backtrace.status() {
            std::backtrace::BacktraceStatus::Captured => format!("{backtrace}\n"),
            _ => String::new(),
        };
        let version = env!("CARGO_PKG_VERSION");
        terminal::last_words(&format!(
            "error: bug in floe {version}: {message}\n  at {place}\n{trace}\
             hint: please report these lines together with the command that you ran\n\
             hint: with RUST_BACKTRACE=1 there is more to see\n"
        ));
    }));
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn shows_causes_and_hints_once_each() {
        let denied = || io::Error::new(io::ErrorKind::PermissionDenied, "permission denied");
        let result: Result<(), anyhow::Error> =
            Err(denied()).context("cannot read /a: permission denied").context("cannot pack");
        let failure = Failure::from(result.expect_err("an error")).hint("run `chmod +r /a`");
        assert_eq!(
            failure.render(),
            "error: cannot pack\n  caused by: cannot read /a: permission denied\nhint: run `chmod +r /a`\n"
        );
        assert_eq!(
            failure.to_json().to_string(),
            r#"{"causes":["cannot read /a: permission denied"],"error":"cannot pack","exit":1,"hints":["run `chmod +r /a`"]}"#
        );
    }

    #[test]
    fn shows_no_control_characters() {
        let failure = Failure::failed("'a\u{1b}[31m\u{7}' is no\r\nname");
        assert_eq!(failure.render(), "error: 'a[31m' is no\n    name\n");
    }

    #[test]
    fn tells_a_broken_pipe_from_a_full_disk() {
        for (kind, expected) in
            [(io::ErrorKind::BrokenPipe, Kind::BrokenPipe), (io::ErrorKind::StorageFull, Kind::Failed)]
        {
            assert_eq!(Failure::writing_stdout(kind.into()).kind, expected);
        }
    }
}
