//! A finding: what was looked at, how it is, and what mends it.

use serde::Serialize;

use crate::failure::Failure;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Something will not work that may not be wanted.
    Warning,
    /// floe cannot do its work here.
    Problem,
}

impl State {
    /// The state as a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The part of the machine: `nix`, `engines`, `disk`, `record`, `project`, `registries`.
    pub(crate) area: &'static str,
    /// How it is.
    pub(crate) state: State,
    /// What was found, in a line.
    pub(crate) what: String,
    /// What mends it, a step each. Invariant: not empty unless all is well.
    pub(crate) fixes: Vec<String>,
}

impl Finding {
    /// All is well.
    pub(crate) fn ok(area: &'static str, what: impl Into<String>) -> Self {
        Self { area, state: State::Ok, what: what.into(), fixes: Vec::new() }
    }

    /// Something will not work that may not be wanted.
    pub(crate) fn warning(area: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { area, state: State::Warning, what: what.into(), fixes: vec![fix.into()] }
    }

    /// Something is wrong.
    pub(crate) fn problem(area: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { area, state: State::Problem, what: what.into(), fixes: vec![fix.into()] }
    }

    /// What a command would fail with, and its hints.
    pub(crate) fn of_failure(area: &'static str, failure: &Failure) -> Self {
        let mut fixes = failure.all_hints();
        if fixes.is_empty() {
            fixes.push("the line above is all that is known: look there first".to_owned());
        }
        Self { area, state: State::Problem, what: failure.line(), fixes }
    }

    /// The same finding where only part of the work is lost.
    pub(crate) fn lenient(mut self) -> Self {
        self.state = self.state.min(State::Warning);
        self
    }
}
