//! Waiting, as `run` does before it starts the program.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Target, probe};
use crate::failure::{BAD_CONFIGURATION, Failure, NOT_READY};
use crate::setting::{Setting, Settings};
use crate::signals::{self, Signals};
use crate::terminal::say;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The first and the longest sleep between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often the waiting thread looks up when nothing happens.
const TICK: Duration = Duration::from_millis(250);

/// What waiting can be told.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        flag: "",
        variable: "FLOE_WAIT",
        value: "",
        default: "",
        meaning: "What must be ready before the program starts, with blanks between: `tcp://host:port`, \
                  `http://host:port/path`, `file:///path`",
    },
    Setting {
        flag: "",
        variable: "FLOE_WAIT_TIMEOUT",
        value: "",
        default: "60s",
        meaning: "How long they are waited for, all together",
    },
];

/// The last attempt at each target: `None` when it was ready, else why not.
type Outcomes = Arc<Mutex<Vec<Option<String>>>>;

/// Waits until every target is ready, the deadline has passed, or a signal asks for an end.
pub(crate) fn wait_for(settings: &Settings, signals: &Signals) -> Result<(), Failure> {
    let text = settings.text("FLOE_WAIT")?;
    let targets: Result<Vec<Target>, String> = text.split_whitespace().map(Target::parse).collect();
    let targets =
        targets.map_err(|reason| Failure::new(BAD_CONFIGURATION, format!("FLOE_WAIT: {reason}")))?;
    if targets.is_empty() {
        return Ok(());
    }
    let timeout = settings.duration("FLOE_WAIT_TIMEOUT")?;
    let deadline = Instant::now() + timeout;
    let outcomes: Outcomes = Arc::new(Mutex::new(vec![Some("not tried yet".to_owned()); targets.len()]));
    for (index, target) in targets.iter().cloned().enumerate() {
        let outcomes = Arc::clone(&outcomes);
        // Not scoped: an attempt that hangs must not hold up the end that a signal asks for.
        thread::spawn(move || attempt(&target, index, deadline, &outcomes));
    }
    let mut is_announced = false;
    loop {
        let left: Vec<(&Target, String)> = {
            let outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            targets
                .iter()
                .zip(&*outcomes)
                .filter_map(|(target, outcome)| Some((target, outcome.clone()?)))
                .collect()
        };
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let messages = left.iter().map(|(target, reason)| {
                format!("{target} is not ready after {} seconds: {reason}", timeout.as_secs())
            });
            return Err(Failure { messages: messages.collect(), hints: Vec::new(), exit_code: NOT_READY }
                .hint("a longer wait: FLOE_WAIT_TIMEOUT"));
        }
        if !is_announced {
            let names: Vec<String> = left.iter().map(|(target, _)| target.to_string()).collect();
            say(&format!("waiting for {}", names.join(", ")));
            is_announced = true;
        }
        if let Some(signal) = signals.ending(TICK) {
            return Err(Failure::stopped(signal, "waiting"));
        }
    }
}

/// Tries one target until it is ready or the deadline has passed.
fn attempt(target: &Target, index: usize, deadline: Instant, outcomes: &Outcomes) {
    let mut pause = FIRST_PAUSE;
    while Instant::now() < deadline {
        let outcome = probe(target, ATTEMPT.min(deadline.saturating_duration_since(Instant::now()))).err();
        let is_ready = outcome.is_none();
        outcomes.lock().unwrap_or_else(PoisonError::into_inner)[index] = outcome;
        if is_ready {
            signals::wake();
            return;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
