//! The subcommand `health`: a probe for images without a shell, tried once.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::failure::{BAD_USAGE, DONE, FAILED, Failure};
use crate::setting::{Setting, Settings};
use crate::signals::Signals;
use crate::wait::{Target, probe};

/// How often a probe's program is looked at.
const TICK: Duration = Duration::from_millis(100);

/// What `health` can be told.
pub(crate) const SETTINGS: &[Setting] = &[Setting {
    flag: "--timeout",
    variable: "FLOE_HEALTH_TIMEOUT",
    value: "SPAN",
    default: "5s",
    meaning: "How long the probe may take",
}];

/// Runs `floe-init health`: ends with 0 when everything is ready, with 1 when something is not.
pub(crate) fn run(arguments: &[OsString], signals: &Signals) -> Result<u8, Failure> {
    let settings = Settings::parse(SETTINGS, arguments)?;
    let timeout = settings.duration("--timeout")?;
    let expected = || {
        Failure::new(BAD_USAGE, "health has nothing to probe")
            .hint("for example: floe-init health http://127.0.0.1:3000/health")
            .hint("or a program: floe-init health exec /bin/app --check")
    };
    match settings.operands.split_first() {
        None => Err(expected()),
        Some((first, words)) if first == "exec" => run_program(words, timeout, signals, expected),
        Some(_) => {
            let words: Vec<String> =
                settings.operands.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            let targets: Result<Vec<Target>, String> = words.iter().map(|word| Target::parse(word)).collect();
            let targets = targets.map_err(|reason| Failure::new(BAD_USAGE, reason))?;
            let deadline = Instant::now() + timeout;
            let faults = targets.iter().filter_map(|target| {
                let left = deadline.saturating_duration_since(Instant::now());
                probe(target, left).err().map(|reason| format!("{target} is not ready: {reason}"))
            });
            let messages: Vec<String> = faults.collect();
            if messages.is_empty() {
                Ok(DONE)
            } else {
                Err(Failure { messages, hints: Vec::new(), exit_code: FAILED })
            }
        }
    }
}

fn run_program(
    words: &[OsString],
    timeout: Duration,
    signals: &Signals,
    expected: impl Fn() -> Failure,
) -> Result<u8, Failure> {
    let words = if words.first().is_some_and(|word| word == "--") { &words[1..] } else { words };
    let Some((program, arguments)) = words.split_first() else { return Err(expected()) };
    let name = program.to_string_lossy();
    let mut command = Command::new(program);
    signals.release_in(&mut command);
    let child = command.args(arguments).process_group(0).spawn();
    let mut child = child.map_err(|error| Failure::new(FAILED, format!("cannot run {name}: {error}")))?;
    let deadline = Instant::now() + timeout;
    loop {
        let ended = child
            .try_wait()
            .map_err(|error| Failure::new(FAILED, format!("cannot await {name}: {error}")))?;
        if let Some(status) = ended {
            return if status.success() {
                Ok(DONE)
            } else {
                Err(Failure::new(FAILED, format!("{name}: {status}")))
            };
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let ending = signals.ending(left.min(TICK));
        if left.is_zero() || ending.is_some() {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // It has not been waited for, so the group's number is still its own.
                kill_process_group(group, Signal::KILL).ok();
            }
            child.wait().ok();
            return Err(match ending {
                Some(signal) => Failure::stopped(signal, "probing"),
                None => Failure::new(FAILED, format!("{name} still runs after {} ms", timeout.as_millis())),
            });
        }
    }
}
