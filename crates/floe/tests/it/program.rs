//! Runs floe in a directory of its own and writes down what came of it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// floe with these words, in this directory, with nothing of the machine's that shows in its output.
pub(crate) fn floe(directory: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floe"));
    command.args(words).current_dir(directory).stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "SOURCE_DATE_EPOCH", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    command.env("COLUMNS", "100").env("HOME", directory);
    command
}

/// What came of a run, for a snapshot; `directory` is written as `$DIR`.
pub(crate) fn transcript(directory: &Path, words: &[&str]) -> String {
    let Output { status, stdout, stderr } = floe(directory, words).output().expect("floe runs");
    let mut text = format!("$ floe {}\nexit code: {}\n", words.join(" "), status.code().unwrap_or(-1));
    for (name, bytes) in [("stdout", stdout), ("stderr", stderr)] {
        let output = String::from_utf8(bytes).expect("floe writes UTF-8");
        let output = output.replace(&directory.display().to_string(), "$DIR");
        if !output.is_empty() {
            text.push_str(&format!("--- {name}\n{}\n", output.trim_end()));
        }
    }
    text
}
