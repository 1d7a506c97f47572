//! Whether something is mounted at `/nix`, and whether it was seeded from this image.
//!
//! Over an empty volume Nix would quietly make a store elsewhere, and the image's programs would be gone.

use std::io;
use std::path::Path;

use crate::failure::{BAD_CONFIGURATION, Failure};
use crate::seed::{Volume, digest_of, is_marked};

/// The registration of an image that seeds volumes; others are left alone.
const REGISTRATION: &str = "/floe/registration";

/// Refuses a `/nix` that is a mount and was not seeded from this image.
pub(crate) fn check() -> Result<(), Failure> {
    let registration = Path::new(REGISTRATION);
    if !registration.exists()
        || !is_mount("/nix").map_err(|error| unreadable("/proc/self/mountinfo", &error))?
    {
        return Ok(());
    }
    let digest = digest_of(registration).map_err(|error| unreadable(REGISTRATION, &error))?;
    let volume = Volume::below(Path::new("/"));
    if is_marked(&volume, &digest).map_err(|error| unreadable("/nix/.floe/seeded", &error))? {
        return Ok(());
    }
    let message = "/nix is a mount that was not seeded from this image: its programs are not there";
    Err(Failure::new(BAD_CONFIGURATION, message)
        .hint("run 'floe-init seed' of the same image in an init step, with the volume mounted at /seed")
        .hint("or mount the image elsewhere and set FLOE_SEED_FROM to its root"))
}

fn unreadable(file: &str, error: &io::Error) -> Failure {
    Failure::new(BAD_CONFIGURATION, format!("cannot read {file}: {error}"))
}

fn is_mount(path: &str) -> io::Result<bool> {
    Ok(has_mount(&std::fs::read_to_string("/proc/self/mountinfo")?, path))
}

/// The fifth field of each line is where it is mounted (proc(5)); escapes cannot spell the paths that are asked for.
fn has_mount(mountinfo: &str, path: &str) -> bool {
    mountinfo.lines().any(|line| line.split(' ').nth(4) == Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_mounts() {
        let mountinfo =
            "22 1 0:21 / / rw - overlay overlay rw\n23 22 0:22 /a /nix rw,relatime - ext4 /dev/a rw\n";
        assert!(has_mount(mountinfo, "/nix"));
        assert!(!has_mount(mountinfo, "/seed"));
        assert!(!has_mount("", "/nix"));
    }
}
