//! podman: `podman load`, `podman run`.

use super::RunRequest;
use super::docker;

/// Loads an archive from standard input; its progress would stand before the reason of a failure.
pub(super) const LOAD: &[&str] = &["load", "--quiet"];

/// Saves an image with its config as it is; in docker's format podman would write another one.
pub(super) const SAVE: &[&[&str]] = &[&["save", "--quiet", "--format=oci-archive", "--uncompressed"]];

/// The arguments of `podman run`; as docker's, but for the temporary file systems that podman adds by itself.
pub(super) fn run_arguments(request: &RunRequest) -> Vec<String> {
    let mut arguments = docker::run_arguments(request);
    if request.read_only {
        let position = arguments.iter().position(|argument| argument == "--read-only").map_or(1, |at| at + 1);
        arguments.insert(position, "--read-only-tmpfs=false".to_owned());
    }
    arguments
}
