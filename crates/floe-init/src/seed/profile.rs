//! Links that keep paths alive and make them usable: garbage collector roots, and the image's default profile.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use floe_store::{Closure, StorePath};

use super::volume::Volume;

/// The profile that the image manages; the user's own is `per-user/<user>/profile`.
const DEFAULT: &str = "profiles/default";

/// Why a link could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the link {}", link.display())]
pub(crate) struct LinkError {
    /// The link.
    link: PathBuf,
    /// The system's reason.
    #[source]
    source: io::Error,
}

/// Makes a root for each root of the closure in `gcroots/floe/<digest>`; Nix looks into directories.
///
/// Roots of images that seeded before stay, so that an upgrade can be taken back; whoever is sure removes their
/// directory.
pub(super) fn root(volume: &Volume, closure: &Closure, digest: &str) -> Result<(), LinkError> {
    let directory = volume.state("gcroots/floe").join(digest);
    let failed = |link: &Path, source| LinkError { link: link.to_owned(), source };
    match std::fs::create_dir(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(&directory, error)),
        _ => {}
    }
    for path in closure.roots() {
        let link = directory.join(path.as_str());
        point(&link, Path::new(&closure.store_dir().full_path(path)))
            .map_err(|error| failed(&link, error))?;
    }
    Ok(())
}

/// Makes a store path the default profile, as a new generation after the last, unless it is already.
///
/// The caller holds Nix's lock of the profile.
pub(super) fn switch(volume: &Volume, closure: &Closure, path: &StorePath) -> Result<(), LinkError> {
    let profile = default_location(volume);
    let failed = |link: &Path, source| LinkError { link: link.to_owned(), source };
    let target = PathBuf::from(closure.store_dir().full_path(path));
    let folder = volume.state("profiles");
    let current = std::fs::read_link(&profile).map(|generation| folder.join(generation));
    if current.and_then(std::fs::read_link).is_ok_and(|current| current == target) {
        return Ok(());
    }
    let generation = last_generation(&folder).map_err(|source| failed(&folder, source))? + 1;
    let name = format!("default-{generation}-link");
    let link = folder.join(&name);
    point(&link, &target).map_err(|source| failed(&link, source))?;
    point(&profile, Path::new(&name)).map_err(|source| failed(&profile, source))
}

/// Where the default profile lies, for its lock.
pub(super) fn default_location(volume: &Volume) -> PathBuf {
    volume.state(DEFAULT)
}

/// The highest number among `default-<number>-link`; 0 when there is none.
fn last_generation(folder: &Path) -> io::Result<u64> {
    let mut last = 0;
    for entry in folder.read_dir()? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("default-")?.strip_suffix("-link"));
        last = last.max(number.and_then(|number| number.parse().ok()).unwrap_or_default());
    }
    Ok(last)
}

/// Makes `link` point to `target` in one step; a link that does so already is left alone.
fn point(link: &Path, target: &Path) -> io::Result<()> {
    if std::fs::read_link(link).is_ok_and(|current| current == target) {
        return Ok(());
    }
    let mut name = link.as_os_str().to_owned();
    name.push(".floe-new");
    let new = PathBuf::from(name);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(target, &new)?;
    std::fs::rename(&new, link)
}
