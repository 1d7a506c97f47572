//! Nix as the tests use it: whatever the machine's `nix.conf` says.

use std::process::Command;

/// What tests need from Nix, in the form of `nix.conf` (Nix manual, "nix.conf", `NIX_CONFIG`).
///
/// The sandbox and the build users are off because the package set's builders run the host's bash and dpkg,
/// often inside a container. The system call filter forbids writing setuid bits, which tests of image metadata do.
/// `extra-platforms` lets this machine repackage another architecture's files, which runs none of them.
const CONFIGURATION: &str = "\
experimental-features = nix-command flakes
sandbox = false
build-users-group =
substituters =
filter-syscalls = false
max-jobs = auto
cores = 1
extra-platforms = x86_64-linux aarch64-linux
flake-registry =
warn-dirty = false
";

/// Returns a command for `program`, one of Nix's, that ignores the machine's own configuration where it matters.
///
/// The tests need no change to `/etc/nix/nix.conf` and never make one.
#[must_use]
pub fn nix_command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("NIX_CONFIG", CONFIGURATION).env_remove("NIX_PATH").env_remove("NIX_REMOTE");
    command
}
