//! Headless Chromium: what a person would see of a page.

use std::path::Path;
use std::process::Command;

use floe_testkit::service::program::find;

use crate::project::succeed;

/// A browser with a profile of its own, so that cookies last from page to page.
pub(crate) struct Browser {
    profile: tempfile::TempDir,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self { profile: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The page's document after its scripts have run.
    pub(crate) fn document(&self, url: &str) -> String {
        succeed(self.command().args(["--dump-dom", url])).stdout
    }

    /// Keeps a picture of the page.
    pub(crate) fn screenshot(&self, url: &str, file: &Path) {
        let mut command = self.command();
        command.arg(format!("--screenshot={}", file.display())).args(["--window-size=900,520", url]);
        succeed(&mut command);
    }

    fn command(&self) -> Command {
        let program = find("chromium").unwrap_or_else(|error| panic!("{error}"));
        let mut command = Command::new(program);
        // Chromium's own sandbox needs another user than root.
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
        // Fetches of the page count against this time, which passes as fast as they are answered.
        command.arg("--virtual-time-budget=10000");
        command.arg(format!("--user-data-dir={}", self.profile.path().display()));
        command
    }
}
