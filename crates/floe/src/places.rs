//! Where floe keeps things for this user (XDG Base Directory Specification 0.8).
//!
//! The record is worth keeping and lies in the data home; memo and blobs can be made again and lie in
//! the cache home.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::failure::Failure;

/// floe's folders for this user; none is made here.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The record of images, and their GC roots.
    pub(crate) data: PathBuf,
    /// The memo and the blob cache.
    pub(crate) cache: PathBuf,
}

impl Places {
    /// Finds the folders from `XDG_DATA_HOME`, `XDG_CACHE_HOME` and `HOME`.
    pub(crate) fn find() -> Result<Self, Failure> {
        let home = |variable: &str, below: &str| {
            absolute(std::env::var_os(variable))
                .or_else(|| absolute(std::env::var_os("HOME")).map(|home| home.join(below)))
                .map(|home| home.join("floe"))
                .ok_or_else(|| {
                    Failure::from(anyhow::anyhow!("neither {variable} nor HOME names an absolute folder"))
                        .hint(format!("set {variable} to a folder that this user may write to"))
                })
        };
        Ok(Self { data: home("XDG_DATA_HOME", ".local/share")?, cache: home("XDG_CACHE_HOME", ".cache")? })
    }

    /// The recipes of recorded images.
    pub(crate) fn images(&self) -> PathBuf {
        self.data.join("images")
    }

    /// The memo of packed layers.
    pub(crate) fn memo(&self) -> PathBuf {
        self.cache.join("memo")
    }

    /// The bounded cache of blobs.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.cache.join("blobs")
    }

    /// Layers of bases that come from no registry, for as long as a recorded image names them.
    pub(crate) fn kept_layers(&self) -> PathBuf {
        self.data.join("layers")
    }

    /// Blobs on their way to places that have no folder of their own.
    pub(crate) fn spool(&self) -> PathBuf {
        self.cache.join("spool")
    }

    /// Makes the spool.
    pub(crate) fn make_spool(&self) -> Result<PathBuf, Failure> {
        let spool = self.spool();
        std::fs::create_dir_all(&spool).map_err(|error| {
            Failure::from(anyhow::Error::new(error).context(format!("cannot make {}", spool.display())))
        })?;
        Ok(spool)
    }

    /// The GC roots of recorded images.
    pub(crate) fn roots(&self) -> PathBuf {
        self.data.join("roots")
    }
}

/// The specification says to ignore relative values.
fn absolute(value: Option<OsString>) -> Option<PathBuf> {
    value.map(PathBuf::from).filter(|path| path.is_absolute())
}
