//! A recipe file: a recorded image with its name, as a document that a Nix build writes.
//!
//! It lies in the store and names the store paths of its layers, so Nix keeps them as long as the file; no byte of a layer
//! is in it. Whoever takes a recorded image by its name takes such a file by its path.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use floe_destination::ImageName;
use floe_store::StoreDir;
use serde::{Deserialize, Serialize};

use crate::base;
use crate::configuration::BaseName;
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recorded::Recorded;

/// The largest file that is read: a hundred times that of a closure of 800 paths.
const LARGEST: u64 = 64 << 20;

/// What a recipe file begins with, so that it is told from any other file by its first bytes.
const BEGINNING: &[u8] = b"{\"floe-recipe\":";

/// The document. Invariant: `version` is written first, under the name of [`BEGINNING`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecipeFile {
    #[serde(rename = "floe-recipe")]
    version: u32,
    /// What the image is called.
    pub(crate) name: ImageName,
    /// What the image is built upon, which lies in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    /// The image.
    pub(crate) recorded: Recorded,
}

/// The form of the document; a reader accepts no other.
const VERSION: u32 = 1;

impl RecipeFile {
    /// The document of an image.
    pub(crate) fn new(name: ImageName, base: Option<String>, recorded: Recorded) -> Self {
        Self { version: VERSION, name, base, recorded }
    }

    /// Makes sure that the layers of the image's base can be had.
    ///
    /// # Errors
    /// When the base cannot be read.
    pub(crate) fn keep_base(&self, places: &Places) -> Outcome {
        let Some(base) = &self.base else { return Ok(()) };
        let base: BaseName = base.parse().map_err(Failure::usage)?;
        self.recorded.images().try_for_each(|image| base::keep_layers(places, &base.source, &image.base))
    }

    /// The document's bytes, a line of JSON; the same image gives the same bytes.
    pub(crate) fn to_bytes(&self) -> Outcome<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the file at `path`, `None` when it is another kind of file.
    ///
    /// # Errors
    /// When it cannot be read, or begins as a recipe and goes on as something else.
    pub(crate) fn read_if_recipe(path: &Path) -> Outcome<Option<Self>> {
        let unreadable = |error: io::Error| {
            let kind = error.kind();
            let failure =
                Failure::from(anyhow::Error::new(error).context(format!("cannot read {}", path.display())));
            match kind {
                io::ErrorKind::NotFound => {
                    failure.hint("name a recipe that `nix build` made, or a recorded image")
                }
                _ => failure,
            }
        };
        if path.is_dir() {
            return Ok(None);
        }
        let mut file = File::open(path).map_err(unreadable)?.take(LARGEST + 1);
        let mut bytes = Vec::new();
        file.by_ref().take(BEGINNING.len() as u64).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes != BEGINNING {
            return Ok(None);
        }
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        let malformed = |reason: String| {
            Failure::failed(format!("{} is no recipe of this floe: {reason}", path.display()))
                .hint("build it again, with the floe that is to read it")
        };
        if bytes.len() as u64 > LARGEST {
            return Err(malformed("it is larger than 64 MiB".to_owned()));
        }
        let read: Self = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if read.version != VERSION {
            return Err(malformed(format!("it has version {}, expected {VERSION}", read.version)));
        }
        Ok(Some(read))
    }
}

/// The path, when a word that stands for an image is one: names of images begin with neither `/` nor `.`.
pub(crate) fn path_of_word(word: &str) -> Option<PathBuf> {
    word.starts_with(['/', '.']).then(|| PathBuf::from(word))
}

/// Reads the recipe at `path`.
///
/// # Errors
/// When there is none.
pub(crate) fn read(path: &Path) -> Outcome<RecipeFile> {
    let recipe = RecipeFile::read_if_recipe(path)?;
    recipe.ok_or_else(|| {
        let failure = Failure::failed(format!("{} is no recipe of an image", path.display()));
        match archive_in_store(path) {
            true => failure.hint(
                "it is an image's archive: `podman load < FILE`; its recipe is the attribute `.recipe`",
            ),
            false => failure.hint("an image of other contents is made with `floe build`"),
        }
    })
}

/// Whether a path leads to a file of the store that is called as `buildImage` calls its archives.
fn archive_in_store(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    let name = StoreDir::default().containing(&path);
    name.is_ok_and(|name| name.name().ends_with(ARCHIVE_ENDING))
}

/// How the store paths of archives end that `buildImage` makes.
pub(crate) const ARCHIVE_ENDING: &str = ".image.tar";
