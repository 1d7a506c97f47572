//! Draws the counters of [`Work`]: bars again and again, lines and events at most once a second and not in the first, so
//! that short work says nothing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use floe_image::oci::Digest;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::json;

use super::work::{UnderWay, Work};
use crate::terminal::{self, Terminal};

/// The time between two lines, and before the first.
const PAUSE: Duration = Duration::from_secs(1);

/// The time between two pictures of a bar: faster than the eye tells apart would only cost time.
const TICK: Duration = Duration::from_millis(100);

/// Blobs that have a bar at once: more would push the terminal's other lines away.
const MOST_BARS: usize = 8;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Bars that are drawn again and again.
    Bar,
    /// A line a second.
    Plain,
    /// An event a second, and one for each blob.
    Json,
    /// Nothing.
    None,
}

/// Shows how far one piece of work is. Clones show the same work; when the last is dropped, the bar goes away.
#[derive(Clone)]
pub(crate) struct Progress {
    shared: Arc<Shared>,
}

struct Shared {
    terminal: Terminal,
    style: Style,
    work: Arc<Work>,
    started: Instant,
    bar: Option<ProgressBar>,
    blob_bars: AtomicUsize,
    /// When something was last shown, in milliseconds from the start.
    last_shown: AtomicU64,
}

/// A blob that is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlobDone<'a> {
    /// What the blob is called, for people.
    pub(crate) name: &'a str,
    /// The blob.
    pub(crate) digest: Digest,
    /// Its size as stored, in bytes.
    pub(crate) size: u64,
}

/// A blob that is under way; dropped before [`Blob::done`] when it failed.
pub(crate) struct Blob {
    progress: Progress,
    number: u64,
    counted: Arc<UnderWay>,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(terminal: Terminal, style: Style) -> Self {
        let bar = (style == Style::Bar).then(|| {
            let bar = terminal.bars().add(ProgressBar::new_spinner());
            bar.set_style(template("{spinner} {prefix} {elapsed}"));
            bar.enable_steady_tick(TICK);
            bar
        });
        let shared = Shared {
            terminal,
            style,
            work: Arc::new(Work::new()),
            started: Instant::now(),
            bar,
            blob_bars: AtomicUsize::new(0),
            last_shown: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Names what is being done: `packing layers`.
    pub(crate) fn phase(&self, name: &str) {
        self.shared.work.name_phase(name);
        if let Some(bar) = &self.shared.bar {
            bar.set_prefix(name.to_owned());
        }
        self.tick();
    }

    /// Tells how much there is to do: blobs, and the bytes that count for them.
    pub(crate) fn planned(&self, blobs: usize, bytes: u64) {
        self.shared.work.plan(blobs, bytes);
        if let Some(bar) = &self.shared.bar {
            bar.set_length(bytes);
            let (done, rate) = (Arc::clone(&self.shared.work), Arc::clone(&self.shared.work));
            let line = format!("{{prefix}} [{{wide_bar{}}}] {{done}}\n  {{rate}}", self.ink());
            let style = template(&line)
                .progress_chars("=> ")
                .with_key("done", move |_: &ProgressState, out: &mut dyn fmt::Write| {
                    show(out, &done.moment().bytes());
                })
                .with_key("rate", move |_: &ProgressState, out: &mut dyn fmt::Write| {
                    show(out, &rate.moment().rate());
                });
            bar.set_style(style);
        }
        self.tick();
    }

    /// Shows a blob that begins to move, with the bytes that count for it.
    pub(crate) fn begin(&self, name: &str, bytes: u64) -> Blob {
        let (number, counted) = self.shared.work.begin(name, bytes);
        let bar = (self.shared.style == Style::Bar
            && self.shared.blob_bars.fetch_add(1, Ordering::Relaxed) < MOST_BARS)
            .then(|| {
                let bar = self.shared.terminal.bars().add(ProgressBar::new(bytes));
                let done = Arc::clone(&counted);
                let line = format!("  {{prefix:28!}} [{{wide_bar{}}}] {{done}}", self.ink());
                let style = template(&line).progress_chars("=> ").with_key(
                    "done",
                    move |_: &ProgressState, out: &mut dyn fmt::Write| {
                        let (moved, total) = (terminal::size(done.moved()), terminal::size(done.total_bytes));
                        show(out, &format!("{moved:>7} of {total:>7}"));
                    },
                );
                bar.set_style(style);
                bar.set_prefix(name.to_owned());
                bar
            });
        Blob { progress: self.clone(), number, counted, bar }
    }

    /// Counts a blob that need not move, with the bytes that would have counted for it.
    pub(crate) fn spared(&self, blob: BlobDone<'_>, bytes: u64) {
        self.count_done(blob, bytes, false);
    }

    fn count_done(&self, blob: BlobDone<'_>, spared: u64, moved: bool) {
        self.shared.work.count_done(spared);
        if self.shared.style == Style::Json {
            self.shared.terminal.event(&json!({
                "event": "blob", "name": blob.name, "digest": blob.digest, "size": blob.size, "moved": moved,
            }));
        }
        self.tick();
    }

    fn ink(&self) -> &'static str {
        if self.shared.terminal.is_colored() { ":.cyan" } else { "" }
    }

    /// Shows what is due.
    fn tick(&self) {
        let shared = &*self.shared;
        let pause = match shared.style {
            Style::Bar => TICK,
            Style::Plain | Style::Json => PAUSE,
            Style::None => return,
        };
        let now = u64::try_from(shared.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last = shared.last_shown.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        // Of several threads the one that moves the time on shows it.
        if !is_due
            || shared.last_shown.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let moment = shared.work.moment();
        match (shared.style, &shared.bar) {
            (Style::Json, _) => shared.terminal.event(&moment.event()),
            (_, Some(bar)) => bar.set_position(moment.done()),
            _ => shared.terminal.note(moment.line()),
        }
    }
}

impl Blob {
    /// Counts bytes that moved.
    pub(crate) fn advance(&self, bytes: u64) {
        self.progress.shared.work.advance(&self.counted, bytes);
        if let Some(bar) = &self.bar {
            bar.set_position(self.counted.moved());
        }
        self.progress.tick();
    }

    /// Counts the blob as done.
    pub(crate) fn done(self, digest: Digest, size: u64) {
        let blob = BlobDone { name: &self.counted.name, digest, size };
        let rest = self.counted.total_bytes.saturating_sub(self.counted.moved());
        self.progress.count_done(blob, rest, true);
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        let shared = &self.progress.shared;
        shared.work.end(self.number);
        if shared.style == Style::Bar {
            shared.blob_bars.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            shared.terminal.bars().remove(bar);
        }
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

fn show(out: &mut dyn fmt::Write, text: &str) {
    // The bar writes into a string, which takes any text.
    out.write_str(text).ok();
}

fn template(line: &str) -> ProgressStyle {
    ProgressStyle::with_template(line).expect("the templates of this file are well-formed")
}
