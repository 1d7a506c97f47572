//! The environment that a container is given, checked before anything is loaded or started.
//!
//! In come the image's config, `--env` and `--env-file`; out comes one failure with all that is missing or malformed. A file
//! of variables has a `NAME=VALUE`, or a `NAME` for this machine's value, in each line; engines take the value as it is
//! written, quotes too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use floe_image::image::REQUIRED_ENV_LABEL;
use floe_image::oci::ExecutionConfig;

use crate::failure::{Failure, Outcome};

/// The file of variables that the programs of a flake use where there is one in the current directory.
pub(crate) const ENV_FILE: &str = ".env.docker";

/// What people copy to [`ENV_FILE`].
const EXAMPLE_FILE: &str = ".env.docker.example";

/// Refuses with a list when a file is malformed, or a variable that the image requires is set nowhere or empty.
pub(crate) fn check(config: &ExecutionConfig, variables: &[String], files: &[PathBuf]) -> Outcome {
    let mut given: BTreeSet<String> = variables
        .iter()
        .filter_map(|text| variable(text))
        .chain(config.env.iter().filter_map(|text| variable(text)))
        .filter_map(|(name, value)| (!value.is_empty()).then_some(name))
        .collect();
    let mut malformed = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))
            .map_err(|error| with_example(Failure::from(error), file))?;
        given.extend(names(&text));
        malformed.extend(problems(file, &text));
    }
    let required = config.labels.get(REQUIRED_ENV_LABEL).map_or("", String::as_str);
    let missing: Vec<&str> =
        required.split(' ').filter(|name| !name.is_empty() && !given.contains(*name)).collect();
    let noun = if missing.len() == 1 { "variable" } else { "variables" };
    let unset = format!("{} required {noun} not set: {}", missing.len(), missing.join(", "));
    match (missing.is_empty(), malformed.is_empty()) {
        (true, true) => Ok(()),
        (false, true) => {
            let failure = Failure::failed(unset);
            let failure =
                failure.hint("set each with --env NAME=VALUE, or all in a file with --env-file FILE");
            Err(with_example(failure, Path::new(ENV_FILE)))
        }
        (is_whole, false) => {
            if !is_whole {
                malformed.push(unset);
            }
            Err(Failure::failed(format!("the environment is malformed\n{}", malformed.join("\n")))
                .hint("a line is NAME=VALUE, without `export` and without quotes around the value"))
        }
    }
}

/// `NAME=VALUE`, or this machine's value of `NAME`, when it has one.
pub(crate) fn variable(text: &str) -> Option<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Some((name.trim().to_owned(), value.to_owned())),
        None => std::env::var(text).ok().map(|value| (text.to_owned(), value)),
    }
}

/// The names that a file of variables sets to something.
pub(crate) fn names(text: &str) -> impl Iterator<Item = String> + '_ {
    let set = |(_, line): (usize, &str)| {
        let (name, value) = variable(line)?;
        (!value.trim().is_empty()).then_some(name)
    };
    lines(text).filter_map(set)
}

/// What is wrong with a file's lines, each with its number.
fn problems<'a>(file: &'a Path, text: &'a str) -> impl Iterator<Item = String> + 'a {
    lines(text).filter_map(move |(number, line)| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let name = name.trim();
        let place = format!("{}:{number}", file.display());
        if !is_name(name) {
            return Some(format!("{place}: '{}' names no variable", name.escape_debug()));
        }
        let is_quoted = value.len() > 1
            && ['"', '\''].iter().any(|quote| value.starts_with(*quote) && value.ends_with(*quote));
        is_quoted.then(|| format!("{place}: the quotes around the value of {name} would be part of it"))
    })
}

/// Whether engines and Kubernetes take a text for a variable's name: no blanks, and no digit first.
fn is_name(text: &str) -> bool {
    !text.starts_with(|first: char| first.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter))
}

/// The lines that say something, counted from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Says how the file is begun, where it is not there and its example is.
fn with_example(failure: Failure, file: &Path) -> Failure {
    let is_convention = file.file_name().is_some_and(|name| name == ENV_FILE);
    if is_convention && !file.exists() && file.with_file_name(EXAMPLE_FILE).exists() {
        return failure.hint(format!("begin with: cp {EXAMPLE_FILE} {ENV_FILE}"));
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_names_of_a_file_of_variables() {
        let names: Vec<String> =
            names("# comment\nA=1\n\n B = 2\nNOT_SET_ANYWHERE_HERE\nC=\nD=  \n").collect();
        assert_eq!(names, ["A", "B"]);
    }

    #[test]
    fn lists_everything_that_is_wrong() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = ExecutionConfig {
            env: vec!["C=1".to_owned(), "D=".to_owned()],
            labels: [(REQUIRED_ENV_LABEL.to_owned(), "A B C D".to_owned())].into(),
            ..ExecutionConfig::default()
        };
        let check = |text: &str| {
            let file = folder.path().join("env");
            std::fs::write(&file, text).expect("a file");
            let outcome = check(&config, &["B=1".to_owned()], std::slice::from_ref(&file));
            outcome.err().map_or_else(String::new, |failure| {
                failure.render().replace(&format!("{}/", folder.path().display()), "")
            })
        };
        assert_eq!(check("A=1\nD=x=y\n"), "");
        assert!(check("A=\n").starts_with("error: 2 required variables not set: A, D\nhint: set each"));
        assert_eq!(
            check("A=1\nexport B=2\n\n2C=3\nE=\"x\"\n"),
            "error: the environment is malformed\n    env:2: 'export B' names no variable\n    \
             env:4: '2C' names no variable\n    env:5: the quotes around the value of E would be part of it\n    \
             1 required variable not set: D\n\
             hint: a line is NAME=VALUE, without `export` and without quotes around the value\n"
        );
    }
}
