//! Where a program is on this machine, or which Debian package brings it.
//!
//! A test never skips because a program is absent: it fails with [`MissingProgram`], which says what to install.

use std::env;
use std::path::{Path, PathBuf};

/// The Debian 12 package of each program that the kit starts, sorted by program.
///
/// `util-linux` is essential in Debian, so `setpriv` is there on any machine; it is listed for the message alone.
pub const DEBIAN_PACKAGES: &[(&str, &str)] = &[
    ("busybox", "busybox-static"),
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("docker", "docker.io"),
    ("docker-registry", "docker-registry"),
    ("dockerd", "docker.io"),
    ("iptables", "iptables"),
    ("nix", "nix-bin"),
    ("openssl", "openssl"),
    ("podman", "podman"),
    ("runc", "runc"),
    ("setpriv", "util-linux"),
    ("skopeo", "skopeo"),
];

/// Daemons live in directories that an ordinary user's `PATH` leaves out.
const DAEMON_DIRECTORIES: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A program that a test needs is not on this machine.
#[derive(Debug, thiserror::Error)]
#[error("`{program}` is not installed; on Debian 12 as root: apt-get install {package}")]
pub struct MissingProgram {
    /// The program's file name.
    pub program: String,
    /// The Debian package that carries it; the program's own name when the kit does not know better.
    pub package: String,
}

/// Finds a program in `PATH`, then in the system's daemon directories.
///
/// # Errors
///
/// [`MissingProgram`] when no such file is there.
pub fn find(program: &str) -> Result<PathBuf, MissingProgram> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(DAEMON_DIRECTORIES.iter().map(|directory| Path::new(directory).to_owned()))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| MissingProgram {
            program: program.to_owned(),
            package: package_of(program).to_owned(),
        })
}

fn package_of(program: &str) -> &str {
    DEBIAN_PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_package_of_an_absent_program() {
        assert_eq!(package_of("ctr"), "containerd");
        let error = find("floe-has-no-such-program").expect_err("no machine has this program");
        assert_eq!(
            error.to_string(),
            "`floe-has-no-such-program` is not installed; on Debian 12 as root: apt-get install \
             floe-has-no-such-program"
        );
    }

    #[test]
    fn packages_are_sorted_by_program() {
        assert!(DEBIAN_PACKAGES.is_sorted_by_key(|(program, _)| program));
    }
}
