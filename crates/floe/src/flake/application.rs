//! The programs that `nix/lib` makes, such as `nix run .#docker.push`: their interpreter is floe.
//!
//! Such a program is a script of two lines: `#!…/floe application`, and what to do as JSON. That and the words that it is
//! given become a command line of floe, which is then read as if a person had written it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::environment::ENV_FILE;
use crate::failure::{Failure, Outcome};
use crate::suggestion;

/// The word behind floe in the first line of a program.
pub(crate) const INTERPRETER_WORD: &str = "application";

/// The largest program that is read: it names some images.
const LARGEST: u64 = 1 << 20;

/// The image that is meant where none is named.
const DEFAULT_IMAGE: &str = "docker";

/// What a program does. Images are recipes by the name that the flake gives them.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, tag = "does")]
pub(crate) enum Application {
    /// Calls floe with these words and those of the command line.
    Call { words: Vec<String> },
    /// `run-with-podman [IMAGE] [FLAGS]`
    RunWithPodman { images: BTreeMap<String, PathBuf> },
    /// `docker-info [IMAGE]`
    DockerInfo { images: BTreeMap<String, PathBuf> },
    /// `push-to-registry REPOSITORY TAG [IMAGE]`
    PushToRegistry { images: BTreeMap<String, PathBuf> },
    /// `export-image IMAGE FILE`
    ExportImage { images: BTreeMap<String, PathBuf> },
}

/// Turns the words with which the kernel starts such a program, `floe application FILE WORDS…`, into those of the command
/// line that it stands for; other words stay as they are.
///
/// # Errors
/// When the program cannot be read, or its words make no sense.
pub(crate) fn expanded(words: Vec<OsString>) -> Outcome<Vec<OsString>> {
    let [_, first, file, given @ ..] = words.as_slice() else { return Ok(words) };
    if first != INTERPRETER_WORD {
        return Ok(words);
    }
    let given: Vec<String> = given.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let application = read(Path::new(file))?;
    let words = application.command_line(&given, Path::new(ENV_FILE).is_file())?;
    Ok(words.into_iter().map(OsString::from).collect())
}

fn read(file: &Path) -> Outcome<Application> {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    read.with_context(|| format!("cannot read {}", file.display()))?;
    let document = text.split_once('\n').map_or("", |(_interpreter, document)| document);
    let application = serde_json::from_str(document);
    Ok(application.with_context(|| format!("{} is no program of this floe", file.display()))?)
}

impl Application {
    /// The command line of floe, the program's name first, that stands for this program and its words.
    ///
    /// # Errors
    /// When the words are too few or name no image.
    fn command_line(&self, given: &[String], has_env_file: bool) -> Outcome<Vec<String>> {
        match self {
            Self::Call { words } => Ok(floe(words.iter().chain(given))),
            Self::RunWithPodman { images } => {
                let (image, flags) = match given.split_first() {
                    Some((first, rest)) if images.contains_key(first) => (first.as_str(), rest),
                    _ => (default_image(images)?, given),
                };
                let recipe = recipe(images, image)?;
                let mut words = vec!["run".to_owned(), recipe, "--engine".to_owned(), "podman".to_owned()];
                if has_env_file && !flags.iter().any(|flag| flag.starts_with("--env-file")) {
                    words.extend(["--env-file".to_owned(), ENV_FILE.to_owned()]);
                }
                Ok(floe(words.iter().chain(flags)))
            }
            Self::DockerInfo { images } => {
                let (flags, names): (Vec<&String>, Vec<&String>) =
                    given.iter().partition(|word| word.starts_with('-'));
                let names: Vec<&str> = match names.as_slice() {
                    [] => images.keys().map(String::as_str).collect(),
                    names => names.iter().map(|name| name.as_str()).collect(),
                };
                let mut words = vec!["inspect".to_owned()];
                for name in names {
                    words.push(recipe(images, name)?);
                }
                Ok(floe(words.iter().chain(flags)))
            }
            Self::PushToRegistry { images } => {
                let usage = "push-to-registry REPOSITORY TAG [IMAGE]";
                let (repository, tag, image) = match given {
                    [repository, tag] => (repository, tag, default_image(images)?),
                    [repository, tag, image] => (repository, tag, image.as_str()),
                    _ => return Err(bad_words(usage, images)),
                };
                let words = ["push".to_owned(), recipe(images, image)?, format!("{repository}:{tag}")];
                Ok(floe(&words))
            }
            Self::ExportImage { images } => match given {
                [image, file] => Ok(floe(&["export".to_owned(), recipe(images, image)?, file.clone()])),
                _ => Err(bad_words("export-image IMAGE FILE", images)),
            },
        }
    }
}

fn floe<'a>(words: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    std::iter::once("floe".to_owned()).chain(words.into_iter().cloned()).collect()
}

/// `docker` where the flake has it, else its first image.
fn default_image(images: &BTreeMap<String, PathBuf>) -> Outcome<&str> {
    let named = images.get_key_value(DEFAULT_IMAGE).or_else(|| images.first_key_value());
    named.map(|(name, _)| name.as_str()).ok_or_else(|| Failure::bad_usage("this flake has no image"))
}

fn recipe(images: &BTreeMap<String, PathBuf>, name: &str) -> Outcome<String> {
    if let Some(path) = images.get(name) {
        return Ok(path.display().to_string());
    }
    let failure = Failure::bad_usage(format!("this flake has no image '{name}'"));
    Err(match suggestion::nearest(name, images.keys().map(String::as_str)) {
        Some(nearest) => failure.hint(format!("did you mean '{nearest}'?")),
        None => failure.hint(format!("its images are: {}", names(images))),
    })
}

fn names(images: &BTreeMap<String, PathBuf>) -> String {
    images.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn bad_words(usage: &str, images: &BTreeMap<String, PathBuf>) -> Failure {
    Failure::bad_usage(format!("the words make no sense: expected {usage}"))
        .hint(format!("such as: nix run .#{}", example(usage, images)))
}

fn example(usage: &str, images: &BTreeMap<String, PathBuf>) -> String {
    let image = images.keys().next().map_or(DEFAULT_IMAGE, String::as_str);
    usage
        .replace("[IMAGE]", image)
        .replace("IMAGE", image)
        .replace("FILE", &format!("{image}.tar.gz"))
        .replace("REPOSITORY", "registry.example.com/team/app")
        .replace("TAG", "1.0")
        .replacen(' ', " -- ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> BTreeMap<String, PathBuf> {
        [("docker", "/a"), ("docker-dev", "/b")].map(|(name, path)| (name.to_owned(), path.into())).into()
    }

    fn check(application: &Application, given: &str, expected: &str) {
        let given: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
        let line = match application.command_line(&given, true) {
            Ok(words) => words.join(" "),
            Err(failure) => failure.render(),
        };
        assert_eq!(line, expected, "{application:?} {given:?}");
    }

    #[test]
    fn become_command_lines_of_floe() {
        let call = Application::Call { words: vec!["push".to_owned(), "/a".to_owned()] };
        check(&call, "r.example.com/app:1", "floe push /a r.example.com/app:1");
        let run = Application::RunWithPodman { images: images() };
        check(&run, "", "floe run /a --engine podman --env-file .env.docker");
        check(&run, "--detach", "floe run /a --engine podman --env-file .env.docker --detach");
        check(&run, "docker-dev --env-file x", "floe run /b --engine podman --env-file x");
        let info = Application::DockerInfo { images: images() };
        check(&info, "", "floe inspect /a /b");
        check(&info, "docker-dev --json", "floe inspect /b --json");
        let push = Application::PushToRegistry { images: images() };
        check(&push, "r.example.com/app 1.0", "floe push /a r.example.com/app:1.0");
        check(&push, "r.example.com/app 1.0 docker-dev", "floe push /b r.example.com/app:1.0");
        let export = Application::ExportImage { images: images() };
        check(&export, "docker a.tar.gz", "floe export /a a.tar.gz");
    }

    #[test]
    fn say_what_was_expected() {
        let push = Application::PushToRegistry { images: images() };
        check(
            &push,
            "r.example.com/app",
            "error: the words make no sense: expected push-to-registry REPOSITORY TAG [IMAGE]\n\
               hint: such as: nix run .#push-to-registry -- registry.example.com/team/app 1.0 docker\n",
        );
        check(
            &push,
            "r.example.com/app 1.0 dokcer",
            "error: this flake has no image 'dokcer'\nhint: did you mean 'docker'?\n",
        );
    }
}
