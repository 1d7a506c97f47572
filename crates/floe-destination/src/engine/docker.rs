//! docker: `docker load`, `docker run`.

use super::RunRequest;

/// Loads an archive from standard input.
pub(super) const LOAD: &[&str] = &["load", "--quiet"];

/// Saves an image.
pub(super) const SAVE: &[&[&str]] = &[&["save"]];

/// The arguments of `docker run`, which podman understands too.
///
/// The image is never pulled: floe has loaded it, and a name that is not here may be a stranger's at a registry.
pub(super) fn run_arguments(request: &RunRequest) -> Vec<String> {
    let mut arguments = vec!["run".to_owned(), "--pull=never".to_owned()];
    for (is_set, flag) in [
        (request.remove, "--rm"),
        (request.detach, "--detach"),
        (request.interactive, "--interactive"),
        (request.tty, "--tty"),
        (request.read_only, "--read-only"),
        (request.no_new_privileges, "--security-opt=no-new-privileges"),
    ] {
        if is_set {
            arguments.push(flag.to_owned());
        }
    }
    let mut option = |name: &str, value: &str| arguments.push(format!("--{name}={value}"));
    request.name.iter().for_each(|name| option("name", name));
    request.user.iter().for_each(|user| option("user", user));
    request.cap_drop.iter().for_each(|capability| option("cap-drop", capability));
    request.tmpfs.iter().for_each(|tmpfs| option("tmpfs", tmpfs));
    request.ports.iter().for_each(|port| option("publish", port));
    request.env.iter().for_each(|(name, value)| option("env", &format!("{name}={value}")));
    request.env_file.iter().for_each(|file| option("env-file", &file.display().to_string()));
    for volume in &request.volumes {
        let suffix = if volume.read_only { ":ro" } else { "" };
        option("volume", &format!("{}:{}{suffix}", volume.source, volume.target));
    }
    request.command.iter().for_each(|command| option("entrypoint", command));
    arguments.extend(request.engine_args.iter().cloned());
    arguments.push(request.image.clone());
    arguments.extend(request.args.iter().cloned());
    arguments
}
