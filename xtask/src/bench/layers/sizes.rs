//! The compressed size of each store path: its NAR through `zstd -3`, once, remembered by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail};
use floe_testkit::machine::cache_directory;

use super::planner::Planned;

/// Sizes by base name, in bytes.
pub(super) struct Sizes {
    file: PathBuf,
    known: BTreeMap<String, u64>,
}

impl Sizes {
    /// Opens what was remembered; a file that cannot be read is as good as none.
    pub(super) fn open() -> Result<Self> {
        let file = cache_directory("layers")?.join("sizes.json");
        let known = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Self { file, known: known.unwrap_or_default() })
    }

    /// Finds out the sizes of every path of some plans.
    pub(super) fn learn<'a>(&mut self, plans: impl Iterator<Item = &'a Planned>) -> Result<()> {
        let paths: BTreeSet<&String> = plans.flat_map(|plan| plan.layers.iter().flatten()).collect();
        let unknown: Vec<&String> =
            paths.into_iter().filter(|path| !self.known.contains_key(*path)).collect();
        let next = AtomicUsize::new(0);
        let found = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while let Some(path) = unknown.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let size = compressed_size(path);
                        found
                            .lock()
                            .expect("no thread panics while it adds a size")
                            .push(((*path).clone(), size));
                    }
                });
            }
        });
        for (path, size) in found.into_inner().expect("the threads have ended") {
            self.known.insert(path, size?);
        }
        let text = serde_json::to_vec(&self.known)?;
        fs::write(&self.file, text).with_context(|| format!("cannot write {}", self.file.display()))
    }

    /// The sum of some paths' sizes.
    pub(super) fn of<'a>(&self, paths: impl IntoIterator<Item = &'a String>) -> u64 {
        paths.into_iter().filter_map(|path| self.known.get(path)).sum()
    }
}

fn compressed_size(path: &str) -> Result<u64> {
    let pipe = format!("nix-store --dump /nix/store/{path} | zstd -3 --stdout --quiet | wc --bytes");
    let output = Command::new("sh").args(["-c", &pipe]).output().context("cannot start sh")?;
    let size = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
    // An empty NAR is longer than this once compressed: the pipe's last program cannot tell that the first failed.
    if size < 20 {
        bail!("cannot compress {path}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(size)
}
