//! The image as the seeding side: its registration, its trees, the profile that it wants to be the default.

use std::io;
use std::path::{Path, PathBuf};

use floe_store::read::registration::{self, ParseRegistrationError};
use floe_store::tree::LocalTrees;
use floe_store::{Closure, StoreDir, StorePath, nix32};
use sha2::{Digest as _, Sha256};

/// Links that are followed from the image's default profile: the profile, its generation, the store path.
const MOST_LINKS: usize = 3;

/// What an image brings to a volume.
pub(crate) struct Image {
    /// The names of the registered paths, and nothing else: a registration names a whole store.
    pub(super) closure: Closure,
    pub(super) trees: LocalTrees,
    /// Names this registration among those that a volume was seeded from.
    pub(super) digest: String,
    pub(super) default_profile: Option<StorePath>,
}

/// Why an image cannot seed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// The registration is not there: the image was not made to seed volumes, or the path is wrong.
    #[error("cannot read the image's registration {}", registration.display())]
    Unreadable {
        /// Where it was looked for.
        registration: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The registration is damaged.
    #[error("cannot use the image's registration {}", registration.display())]
    Malformed {
        /// The file.
        registration: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ParseRegistrationError,
    },
}

impl Image {
    /// Reads the image below `root`.
    pub(crate) fn read(root: &Path, registration: &Path) -> Result<Self, ImageError> {
        let registration_file = registration.to_owned();
        let bytes = std::fs::read(registration)
            .map_err(|source| ImageError::Unreadable { registration: registration_file.clone(), source })?;
        let closure = registration::parse(&bytes, &StoreDir::default(), None)
            .map_err(|source| ImageError::Malformed { registration: registration_file, source })?;
        let nix = root.join("nix");
        let default_profile = default_profile(&nix, &closure);
        let trees = LocalTrees::new(nix.join("store"));
        Ok(Self { closure, trees, digest: digest(&bytes), default_profile })
    }
}

/// The name that a volume remembers a registration by.
pub(crate) fn digest_of(registration: &Path) -> io::Result<String> {
    Ok(digest(&std::fs::read(registration)?))
}

fn digest(registration: &[u8]) -> String {
    nix32::encode(&Sha256::digest(registration))
}

/// Follows `profiles/default` to a registered path; an image without one has no profile of its own.
fn default_profile(nix: &Path, closure: &Closure) -> Option<StorePath> {
    let mut link = nix.join("var/nix/profiles/default");
    for _ in 0..MOST_LINKS {
        let target = std::fs::read_link(&link).ok()?;
        let path = target.to_str().and_then(|target| closure.store_dir().parse(target).ok());
        if let Some(path) = path {
            return closure.info(&path).map(|info| info.path.clone());
        }
        link = link.parent()?.join(target);
    }
    None
}
