//! Which image is meant: an entry of `floe.toml`, or contents alone.
//!
//! A first word that names an entry is the image; else all words are contents, and the entries of
//! `floe.toml` play no part. Without words, the only entry is meant.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::arguments::ImageFlags;

use crate::configuration::{ConfigurationFile, Content, ImageOptions, LoadConfigurationError};
use crate::failure::{Failure, Kind, Outcome};
use crate::suggestion;

/// Which image, and what it is to be.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SelectionFlags {
    /// An entry of floe.toml; may be left out when there is only one
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
    /// Store paths, links to them (./result), flake installables (.#app), or plain directories
    #[arg(value_name = "CONTENTS")]
    contents: Vec<String>,
    /// Read this file [default: floe.toml here or in the nearest parent directory]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Read store paths from the Nix store whose root is this directory [default: /]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    #[command(flatten)]
    flags: ImageFlags,
}

/// The image that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The entry of `floe.toml`, if one was meant.
    pub(crate) entry: Option<String>,
    /// The `floe.toml` with that entry, whose lock says what bases stand for.
    pub(crate) configuration: Option<PathBuf>,
    /// Everything that was asked, flags over file. Invariant: there is a `base`, or `contents` or `root` is not empty.
    pub(crate) options: ImageOptions,
}

impl SelectionFlags {
    /// The words, where they are not an image and its contents.
    pub(crate) fn into_words(self) -> Vec<String> {
        self.image.into_iter().chain(self.contents).collect()
    }

    /// Finds the image that is meant, and all that is asked of it.
    ///
    /// Reads `floe.toml` and the files of `--add-file`. Relative contents of the file come out relative to
    /// its directory, those of the command line as they are.
    ///
    /// # Errors
    /// When `floe.toml` is malformed, no image or no single one is meant, or it has nothing to hold.
    pub(crate) fn select(self, current_directory: &Path) -> Outcome<Selection> {
        let file = ConfigurationFile::load(self.file.as_deref(), current_directory).map_err(load_failure)?;
        let words: Vec<String> = self.image.into_iter().chain(self.contents).collect();
        let mut options = self.flags.options()?;
        let (entry, contents) = split(
            &words,
            options.root.is_some() || options.base.is_some(),
            file.as_ref(),
            current_directory,
        )?;
        if !contents.is_empty() {
            let read = |word: &String| word.parse::<Content>().map_err(Failure::usage);
            options.contents = Some(contents.iter().map(read).collect::<Outcome<_>>()?);
        }
        if let Some(base) = entry.and_then(|entry| file.as_ref()?.image(entry)) {
            options = options.over(base);
        }
        let is_empty = |contents: &Option<Vec<Content>>| contents.as_ref().is_none_or(Vec::is_empty);
        if options.base.is_none() && is_empty(&options.contents) && is_empty(&options.root) {
            let entry = entry.unwrap_or_default();
            let failure = Failure::bad_usage(format!("image '{entry}' has no contents"));
            return Err(failure.hint("say what it holds: contents = [\"./result\"]"));
        }
        let configuration = entry.and(file.as_ref()).map(|file| file.path.clone());
        Ok(Selection { entry: entry.map(str::to_owned), configuration, options })
    }
}

/// Splits words into an entry of the file and contents.
fn split<'words>(
    words: &'words [String],
    is_enough: bool,
    file: Option<&'words ConfigurationFile>,
    current_directory: &Path,
) -> Outcome<(Option<&'words str>, &'words [String])> {
    let names: Vec<&str> = file.iter().flat_map(|file| file.configuration.names()).collect();
    let Some((first, rest)) = words.split_first() else {
        return match (names.as_slice(), file) {
            ([only], _) => Ok((Some(only), &[])),
            _ if is_enough => Ok((None, &[])),
            ([], None) => Err(Failure::bad_usage("nothing to put into an image: expected IMAGE or CONTENTS")
                .hint("name contents, such as `floe build ./result` or `floe build .#app`")
                .hint("or describe the image in a floe.toml: [image.app]")),
            ([], Some(file)) => {
                let path = file.path.display();
                Err(Failure::bad_usage(format!("{path} has no image")).hint("begin one with [image.app]"))
            }
            (names, Some(file)) => {
                let message =
                    format!("{} has {} images: expected the name of one", file.path.display(), names.len());
                Err(Failure::bad_usage(message).hint(format!("name one of: {}", names.join(", "))))
            }
            (_, None) => Err(Failure::bad_usage("no floe.toml names an image")),
        };
    };
    if names.contains(&first.as_str()) {
        return Ok((Some(first), rest));
    }
    let is_word = !first.is_empty() && !first.contains(['/', '#', '.', ':']);
    // Only existence is asked: what the path is, its reader says.
    if !is_word || current_directory.join(first).symlink_metadata().is_ok() || is_base_name(first) {
        return Ok((None, words));
    }
    Err(unknown_image(first, &names, file))
}

fn is_base_name(word: &str) -> bool {
    word.parse::<floe_store::StorePath>().is_ok()
}

fn unknown_image(word: &str, names: &[&str], file: Option<&ConfigurationFile>) -> Failure {
    let Some(file) = file else {
        return Failure::bad_usage(format!(
            "no image '{word}': there is no floe.toml here or in a parent directory"
        ))
        .hint(format!("for a directory write ./{word}, for a flake's package .#{word}"));
    };
    let failure = Failure::bad_usage(format!("no image '{word}' in {}", file.path.display()));
    match suggestion::nearest(word, names.iter().copied()) {
        Some(nearest) => failure.hint(format!("did you mean '{nearest}'?")),
        None if names.is_empty() => failure.hint(format!("begin it with [image.{word}]")),
        None => failure.hint(format!("the images are: {}", names.join(", "))),
    }
}

pub(crate) fn load_failure(error: LoadConfigurationError) -> Failure {
    let kind = match &error {
        LoadConfigurationError::Unreadable { .. } => Kind::Failed,
        LoadConfigurationError::NotText { .. } | LoadConfigurationError::Malformed { .. } => Kind::Usage,
    };
    let hint = match &error {
        LoadConfigurationError::Unreadable { .. } => Some("--file names a floe.toml that can be read"),
        LoadConfigurationError::NotText { .. } => Some("save the file as UTF-8, which TOML is written in"),
        // Each problem has its own hint.
        LoadConfigurationError::Malformed { .. } => None,
    };
    let failure = Failure { kind, ..Failure::from(error) };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
