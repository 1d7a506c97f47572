//! Progress of long work: bars on a terminal, plain lines elsewhere, JSON events for machines.
//!
//! Libraries know nothing of this: whoever implements their observers calls [`Progress`], from any thread.
//! Lines and events come at most once a second and not in the first, so that short work says nothing.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::json;

use crate::terminal::{self, Terminal};

/// The time between two lines, and before the first.
const PAUSE: Duration = Duration::from_secs(1);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Bars that are drawn again and again.
    Bar,
    /// A line a second.
    Plain,
    /// An event a second, and one for each layer.
    Json,
    /// Nothing.
    None,
}

/// Shows how far one piece of work is. Clones show the same work; when the last is dropped, the bar goes away.
#[derive(Clone)]
pub(crate) struct Progress {
    shared: Arc<Shared>,
}

/// A layer that is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerDone<'a> {
    /// What the layer is called, for people.
    pub(crate) name: &'a str,
    /// The bytes of its content.
    pub(crate) nar_size: u64,
    /// Whether it was packed: then its bytes were given to [`Progress::advance`], else they count now.
    pub(crate) packed: bool,
}

struct Shared {
    terminal: Terminal,
    style: Style,
    started: Instant,
    bar: Option<ProgressBar>,
    /// Bytes that were read.
    read: AtomicU64,
    /// Bytes that need not be read.
    spared: AtomicU64,
    /// When the last line came, in milliseconds from the start.
    last_line: AtomicU64,
    state: Mutex<State>,
}

/// What is said besides bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    phase: String,
    total_bytes: u64,
    layers_done: usize,
    total_layers: usize,
}

/// How far work is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Moment {
    state: State,
    read: u64,
    spared: u64,
    elapsed: Duration,
}

impl Progress {
    pub(crate) fn new(terminal: Terminal, style: Style) -> Self {
        let bar = (style == Style::Bar).then(|| {
            let bar = terminal.bars().add(ProgressBar::new_spinner());
            bar.set_style(template("{spinner} {prefix} {elapsed}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let shared = Shared {
            terminal,
            style,
            started: Instant::now(),
            bar,
            read: AtomicU64::new(0),
            spared: AtomicU64::new(0),
            last_line: AtomicU64::new(0),
            state: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Names what is being done: `packing layers`.
    pub(crate) fn phase(&self, name: &str) {
        name.clone_into(&mut self.state().phase);
        if let Some(bar) = &self.shared.bar {
            bar.set_prefix(name.to_owned());
        }
        self.tick();
    }

    /// Tells how much there is to do: layers, and the bytes that they hold.
    pub(crate) fn planned(&self, layers: usize, bytes: u64) {
        {
            let mut state = self.state();
            state.total_layers = layers;
            state.total_bytes = bytes;
        }
        if let Some(bar) = &self.shared.bar {
            let ink = if self.shared.terminal.is_colored() { ":.cyan" } else { "" };
            let line = format!(
                "{{prefix}} [{{wide_bar{ink}}}] {{done}} of {{whole}}\n  {{rate}}, {{left}} left, {{msg}}"
            );
            bar.set_length(bytes);
            let style = template(&line)
                .progress_chars("=> ")
                .with_key("done", |state: &ProgressState, out: &mut dyn fmt::Write| {
                    show(out, &terminal::size(state.pos()));
                })
                .with_key("whole", move |_: &ProgressState, out: &mut dyn fmt::Write| {
                    show(out, &terminal::size(bytes));
                })
                .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                    show(out, &terminal::rate(state.pos(), state.elapsed()));
                })
                .with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
                    show(out, &terminal::duration(whole_seconds(state.eta())));
                });
            bar.set_style(style);
            self.show_layers(bar);
        }
        self.tick();
    }

    /// Counts bytes that were read.
    pub(crate) fn advance(&self, bytes: u64) {
        self.shared.read.fetch_add(bytes, Ordering::Relaxed);
        if let Some(bar) = &self.shared.bar {
            bar.inc(bytes);
        }
        self.tick();
    }

    /// Counts a layer that is done.
    pub(crate) fn layer_done(&self, layer: LayerDone<'_>) {
        let done = {
            let mut state = self.state();
            state.layers_done += 1;
            state.layers_done
        };
        if !layer.packed {
            self.shared.spared.fetch_add(layer.nar_size, Ordering::Relaxed);
        }
        if let Some(bar) = &self.shared.bar {
            if !layer.packed {
                bar.inc(layer.nar_size);
            }
            self.show_layers(bar);
        }
        if self.shared.style == Style::Json {
            self.shared.terminal.event(&json!({
                "event": "layer", "number": done, "name": layer.name, "narSize": layer.nar_size, "packed": layer.packed,
            }));
        }
        self.tick();
    }

    fn show_layers(&self, bar: &ProgressBar) {
        let state = self.state();
        bar.set_message(format!("layer {} of {}", state.layers_done, state.total_layers));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A thread that panicked cannot have left counters half written.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a line or an event when one is due.
    fn tick(&self) {
        let shared = &*self.shared;
        if !matches!(shared.style, Style::Plain | Style::Json) {
            return;
        }
        let elapsed = shared.started.elapsed();
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let last = shared.last_line.load(Ordering::Relaxed);
        let pause = u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX);
        let is_due = now.saturating_sub(last) >= pause;
        // Of several threads the one that moves the time on writes the line.
        if !is_due
            || shared.last_line.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let moment = Moment {
            state: self.state().clone(),
            read: shared.read.load(Ordering::Relaxed),
            spared: shared.spared.load(Ordering::Relaxed),
            elapsed,
        };
        match shared.style {
            Style::Json => shared.terminal.event(&moment.event()),
            _ => shared.terminal.note(moment.line()),
        }
    }
}

impl Moment {
    fn done(&self) -> u64 {
        self.read.saturating_add(self.spared).min(self.state.total_bytes)
    }

    /// The time that the rest takes at the rate so far, or `None` before there is a rate.
    fn left(&self) -> Option<Duration> {
        let rest = u128::from(self.state.total_bytes.checked_sub(self.done())?);
        let milliseconds = (rest * self.elapsed.as_millis()).checked_div(u128::from(self.read))?;
        u64::try_from(milliseconds).ok().map(Duration::from_millis)
    }

    fn line(&self) -> String {
        let State { phase, total_bytes, layers_done, total_layers } = &self.state;
        if *total_bytes == 0 {
            return format!("{phase}: {}", terminal::duration(self.elapsed));
        }
        let left = self
            .left()
            .map_or_else(String::new, |left| format!(", {} left", terminal::duration(whole_seconds(left))));
        format!(
            "{phase}: {} of {}, {}, layer {layers_done} of {total_layers}{left}",
            terminal::size(self.done()),
            terminal::size(*total_bytes),
            terminal::rate(self.read, self.elapsed),
        )
    }

    fn event(&self) -> serde_json::Value {
        json!({
            "event": "progress",
            "phase": self.state.phase,
            "bytes": self.done(),
            "totalBytes": self.state.total_bytes,
            "layers": self.state.layers_done,
            "totalLayers": self.state.total_layers,
            "elapsedMilliseconds": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            self.terminal.bars().remove(bar);
        }
    }
}

/// What is left is an estimate: parts of a second would only flicker.
fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_millis() >= 500))
}

fn show(out: &mut dyn fmt::Write, text: &str) {
    // The bar writes into a string, which takes any text.
    out.write_str(text).ok();
}

fn template(line: &str) -> ProgressStyle {
    ProgressStyle::with_template(line).expect("the templates of this file are well-formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_far_work_is() {
        let state = State {
            phase: "packing".to_owned(),
            total_bytes: 3_200_000_000,
            layers_done: 12,
            total_layers: 40,
        };
        let moment =
            Moment { state, read: 800_000_000, spared: 1_600_000_000, elapsed: Duration::from_secs(2) };
        assert_eq!(moment.line(), "packing: 2.40 GB of 3.20 GB, 400 MB/s, layer 12 of 40, 2.0 s left");
        assert_eq!(moment.event()["bytes"], json!(2_400_000_000_u64));
        let before = Moment {
            state: State { phase: "reading the closure".to_owned(), ..State::default() },
            read: 0,
            spared: 0,
            elapsed: Duration::from_millis(1500),
        };
        assert_eq!(before.line(), "reading the closure: 1.5 s");
        assert_eq!(before.left(), None);
    }
}
