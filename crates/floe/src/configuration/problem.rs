//! What is wrong with a `floe.toml`, shown at its line.

use std::fmt::{self, Write as _};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Problems shown in full; a file with more has one cause, and the rest says nothing new.
const MOST_SHOWN: usize = 10;

/// Everything that is wrong with one file.
#[derive(Debug)]
pub(crate) struct ConfigurationErrors {
    file_name: String,
    text: String,
    /// Invariant: at least one, sorted by place.
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What is wrong, with the value at fault.
    pub(crate) message: String,
    /// What was expected, said under the line; may be empty.
    pub(crate) expected: String,
    /// The bytes at fault.
    pub(crate) span: Range<usize>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl ConfigurationErrors {
    /// Joins the problems of a file; `problems` holds at least one.
    pub(super) fn new(file_name: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        Self { file_name: file_name.to_owned(), text: text.to_owned(), problems }
    }

    /// The problems, first line first.
    #[cfg(test)]
    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The hints of all problems, without repetition.
    pub(crate) fn hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = Vec::new();
        for hint in self.problems.iter().take(MOST_SHOWN).filter_map(|problem| problem.hint.as_ref()) {
            if !hints.contains(hint) {
                hints.push(hint.clone());
            }
        }
        hints
    }

    /// The problems for people: message, place, line, caret, hint, each ended by a newline.
    pub(crate) fn render(&self) -> String {
        let renderer = Renderer::plain();
        let mut out = String::new();
        for problem in self.problems.iter().take(MOST_SHOWN) {
            let span = self.shown_span(&problem.span);
            let annotation = AnnotationKind::Primary.span(span).label(problem.expected.as_str());
            let snippet =
                Snippet::source(self.text.as_str()).path(self.file_name.as_str()).annotation(annotation);
            let title = Level::ERROR.primary_title(problem.message.as_str());
            out.push_str(&renderer.render(&[title.element(snippet)]));
            out.push('\n');
            if let Some(hint) = &problem.hint {
                writeln!(out, "hint: {hint}").expect("a string takes text");
            }
        }
        if let Some(rest) = self.problems.len().checked_sub(MOST_SHOWN).filter(|rest| *rest > 0) {
            writeln!(out, "error: {} has {rest} more problems", self.file_name).expect("a string takes text");
        }
        out
    }

    /// A span that lies in one line and between characters, whatever the parser said.
    fn shown_span(&self, span: &Range<usize>) -> Range<usize> {
        let start = floor(&self.text, span.start);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |length| start + length);
        let end = floor(&self.text, span.end.min(line_end)).max(start);
        start..end
    }

    /// The line and column, both from 1, in characters.
    fn place(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..floor(&self.text, offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

fn floor(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|offset| text.is_char_boundary(*offset)).unwrap_or_default()
}

impl fmt::Display for ConfigurationErrors {
    /// One problem a line: `floe.toml:3:1: unknown key 'nmae'`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(MOST_SHOWN).enumerate() {
            let (line, column) = self.place(problem.span.start);
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{}:{line}:{column}: {}", self.file_name, problem.message)?;
            if !problem.expected.is_empty() {
                write!(formatter, ": {}", problem.expected)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigurationErrors {}
