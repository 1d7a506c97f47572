//! Writes lines, tables, JSON and failures to the two standard streams.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style as Ink};
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;
use serde_json::json;

use super::Table;
use crate::arguments::{ColorWhen, GlobalArguments, ProgressWhen};
use crate::failure::{Failure, Kind, Outcome};
use crate::progress::{Progress, Style};

/// Labels at the beginning of a line, with the ink that they get on a terminal.
const LABELS: [(&str, Ink); 4] = [
    ("error:", AnsiColor::Red.on_default().bold()),
    ("warning:", AnsiColor::Yellow.on_default().bold()),
    ("hint:", AnsiColor::Cyan.on_default().bold()),
    ("  caused by:", AnsiColor::Red.on_default()),
];

/// Where output goes, and how much of it is wanted. Clones write to the same place.
#[derive(Clone)]
pub(crate) struct Terminal {
    quiet: bool,
    json: bool,
    verbose: u8,
    color: ColorChoice,
    progress: Style,
    /// The bars on standard error; hidden where there are none. Lines are printed above them.
    bars: MultiProgress,
}

impl Terminal {
    /// The terminal that the global flags ask for.
    pub(crate) fn new(arguments: &GlobalArguments) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let progress = match arguments.progress {
            _ if arguments.quiet => Style::None,
            _ if arguments.json && arguments.progress != ProgressWhen::None => Style::Json,
            ProgressWhen::Auto if is_terminal => Style::Bar,
            ProgressWhen::Auto | ProgressWhen::Plain => Style::Plain,
            ProgressWhen::Bar => Style::Bar,
            ProgressWhen::None => Style::None,
        };
        let target = match progress {
            Style::Bar => ProgressDrawTarget::stderr(),
            _ => ProgressDrawTarget::hidden(),
        };
        let color = match arguments.color {
            ColorWhen::Auto => AutoStream::choice(&io::stderr()),
            ColorWhen::Always => ColorChoice::Always,
            ColorWhen::Never => ColorChoice::Never,
        };
        Self {
            quiet: arguments.quiet,
            json: arguments.json,
            verbose: arguments.verbose,
            color,
            progress,
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// Whether results are wanted as JSON: then [`Self::json`] is called, and nothing else for results.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether bars are drawn on standard error, which then is a terminal.
    pub(crate) fn shows_bars(&self) -> bool {
        !self.bars.is_hidden()
    }

    /// Whether colour may be used on standard error.
    pub(crate) fn is_colored(&self) -> bool {
        self.color != ColorChoice::Never
    }

    /// The bars, to which [`Progress`] adds its own.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Begins to show progress; dropping the last clone ends it.
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.clone(), self.progress)
    }

    /// Writes a result as one line to standard output.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn line(&self, text: impl Display) -> Outcome {
        self.write_stdout(format!("{text}\n").as_bytes())
    }

    /// Writes a result of several lines, as it is, to standard output.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn text(&self, text: &str) -> Outcome {
        self.write_stdout(text.as_bytes())
    }

    /// Writes a result as one line of JSON to standard output.
    ///
    /// # Errors
    /// When standard output cannot be written, or the value is no JSON.
    pub(crate) fn json(&self, value: &impl Serialize) -> Outcome {
        let text = serde_json::to_string(value)?;
        self.write_stdout((text + "\n").as_bytes())
    }

    /// Writes a JSON document as it is stored; indented where standard output is a terminal.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn document(&self, bytes: &[u8]) -> Outcome {
        if io::stdout().is_terminal()
            && let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes)
        {
            return self.write_stdout(format!("{value:#}\n").as_bytes());
        }
        self.write_stdout(bytes)
    }

    /// Writes a table to standard output, fitted to its width.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn table(&self, table: &Table) -> Outcome {
        let stdout = io::stdout();
        let width = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten();
        let table = table.render(width.map(|size| size.ws_col).filter(|width| *width > 0));
        self.write_stdout(table.as_bytes())
    }

    /// Checks that standard output may be given bytes, such as an archive.
    ///
    /// # Errors
    /// When standard output is a terminal, which bytes would garble.
    pub(crate) fn check_stdout_takes_bytes(&self) -> Outcome {
        if io::stdout().is_terminal() {
            let failure = Failure::bad_usage("standard output is a terminal: expected a file or a pipe");
            return Err(failure.hint("add `> image.tar`, or `| podman load`"));
        }
        Ok(())
    }

    /// Says what was done or is being done; nothing with `--quiet`.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            self.say("note", &text.to_string());
        }
    }

    /// Says what only `--verbose` wants to know.
    pub(crate) fn detail(&self, text: impl Display) {
        if self.verbose > 0 {
            self.note(text);
        }
    }

    /// Warns; with `--quiet` too.
    pub(crate) fn warning(&self, text: impl Display) {
        let text = text.to_string();
        if self.json { self.say("warning", &text) } else { self.say("warning", &format!("warning: {text}")) }
    }

    /// Shows a failure; nothing for a broken pipe, whose reader knows.
    pub(crate) fn failure(&self, failure: &Failure) {
        match failure.kind {
            Kind::BrokenPipe => {}
            _ if self.json => self.write_stderr(&format!("{}\n", failure.to_json())),
            _ => self.write_stderr(&failure.render()),
        }
    }

    /// Writes an event of progress, one line of JSON, to standard error.
    pub(crate) fn event(&self, event: &serde_json::Value) {
        self.write_stderr(&format!("{event}\n"));
    }

    fn say(&self, kind: &str, text: &str) {
        if self.json {
            self.event(&json!({ "event": kind, "text": text }));
        } else {
            self.write_stderr(&format!("{text}\n"));
        }
    }

    fn write_stdout(&self, bytes: &[u8]) -> Outcome {
        self.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Failure::writing_stdout)
        })
    }

    pub(super) fn write_stderr(&self, text: &str) {
        let painted: String = text.split_inclusive('\n').map(painted).collect();
        self.bars.suspend(|| {
            let mut stderr = AutoStream::new(io::stderr(), self.color);
            // Where standard error is gone there is nobody left to tell.
            stderr.write_all(painted.as_bytes()).and_then(|()| stderr.flush()).ok();
        });
    }
}

fn painted(line: &str) -> String {
    match LABELS.iter().find(|(label, _)| line.starts_with(label)) {
        Some((label, ink)) => format!("{ink}{label}{ink:#}{}", &line[label.len()..]),
        None => line.to_owned(),
    }
}

/// Writes to standard error when there is no [`Terminal`]: in a panic.
pub(crate) fn last_words(text: &str) {
    // Where standard error is gone there is nobody left to tell.
    io::stderr().write_all(text.as_bytes()).ok();
}
