//! Finds and reads `floe.toml`.
//!
//! Without `--file`, the file is `floe.toml` in the current directory, or in the nearest of its parents
//! that has one, so that floe works from every folder of a project.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::parse::LARGEST_FILE;
use super::{Configuration, ConfigurationErrors, ImageOptions};

/// The file's name.
const FILE_NAME: &str = "floe.toml";

/// A `floe.toml` that was read.
#[derive(Clone, Debug)]
pub(crate) struct ConfigurationFile {
    /// The file, relative to the current directory where it lies below.
    pub(crate) path: PathBuf,
    /// Its images.
    pub(crate) configuration: Configuration,
    directory: PathBuf,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadConfigurationError {
    /// The file, or the way to it, cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file is not UTF-8, which TOML is.
    #[error("{} is not UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The file says what floe does not understand.
    #[error("{} is malformed", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        #[source]
        source: ConfigurationErrors,
    },
}

impl ConfigurationFile {
    /// Reads the file at `given`, else the nearest one from `current_directory` upwards; `None` when there is none.
    ///
    /// # Errors
    /// When the file is given and missing, or cannot be read, or is malformed.
    pub(crate) fn load(
        given: Option<&Path>,
        current_directory: &Path,
    ) -> Result<Option<Self>, LoadConfigurationError> {
        let Some(path) = given.map(Path::to_owned).or_else(|| find(current_directory)) else {
            return Ok(None);
        };
        let name = path.strip_prefix(current_directory).unwrap_or(&path).to_owned();
        let unreadable = |source| LoadConfigurationError::Unreadable { path: name.clone(), source };
        let absolute = current_directory.join(&path);
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too large from one that just fits.
        let limit = u64::try_from(LARGEST_FILE).unwrap_or(u64::MAX).saturating_add(1);
        File::open(&absolute).map_err(unreadable)?.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
        // A file that is cut off may end within a character: it is refused for its size.
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if error.as_bytes().len() > LARGEST_FILE => " ".repeat(LARGEST_FILE + 1),
            Err(_) => return Err(LoadConfigurationError::NotText { path: name }),
        };
        let configuration = Configuration::parse(&name.display().to_string(), &text)
            .map_err(|source| LoadConfigurationError::Malformed { path: name.clone(), source })?;
        let directory = absolute.parent().unwrap_or(current_directory).to_owned();
        Ok(Some(Self { path: name, configuration, directory }))
    }

    /// What is asked of an image, its relative contents placed in the file's directory.
    pub(crate) fn image(&self, name: &str) -> Option<ImageOptions> {
        self.configuration.image(name).map(|options| options.within(&self.directory))
    }
}

fn find(current_directory: &Path) -> Option<PathBuf> {
    current_directory.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.exists())
}
