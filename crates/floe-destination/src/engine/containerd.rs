//! containerd, through `ctr`: `ctr images import`, `ctr run`.
//!
//! `ctr` is containerd's tool for debugging: it publishes no ports, chooses no user (before containerd 2), and runs the words behind
//! the image in place of the image's own entrypoint.

use super::{EngineError, EngineKind, RunRequest};

/// Loads an archive from standard input.
pub(super) const LOAD: &[&str] = &["images", "import", "-"];

/// Saves an image: with all its platforms, which fails when one was not pulled, else with this machine's.
pub(super) const SAVE: &[&[&str]] = &[&["images", "export", "--all-platforms"], &["images", "export"]];

/// What `ctr run` leaves to a container, and what `ALL` therefore stands for, since `ctr` does not know that word.
/// Source: containerd 1.6, `oci/spec.go`, `defaultUnixCaps`.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// The container's name where the request has none; `ctr` makes up none.
const DEFAULT_NAME: &str = "floe";

/// The arguments of `ctr run`. `no_new_privileges` needs none: `ctr` always sets it.
pub(super) fn run_arguments(request: &RunRequest) -> Result<Vec<String>, EngineError> {
    refuse_unsupported(request)?;
    let mut arguments = vec!["run".to_owned()];
    for (is_set, flag) in [
        // `ctr` refuses both flags together.
        (request.remove && !request.detach, "--rm"),
        (request.detach, "--detach"),
        (request.tty, "--tty"),
        (request.read_only, "--read-only"),
    ] {
        if is_set {
            arguments.push(flag.to_owned());
        }
    }
    let mut option = |name: &str, value: &str| {
        arguments.push(format!("--{name}"));
        arguments.push(value.to_owned());
    };
    for capability in &request.cap_drop {
        if capability.eq_ignore_ascii_case("ALL") {
            DEFAULT_CAPABILITIES.iter().for_each(|capability| option("cap-drop", capability));
        } else {
            let name = capability.to_ascii_uppercase();
            let name = if name.starts_with("CAP_") { name } else { format!("CAP_{name}") };
            option("cap-drop", &name);
        }
    }
    for tmpfs in &request.tmpfs {
        let (target, options) = tmpfs.split_once(':').unwrap_or((tmpfs, ""));
        let options: Vec<&str> = ["nosuid", "nodev"]
            .into_iter()
            .chain(options.split(',').filter(|option| !option.is_empty()))
            .collect();
        option("mount", &format!("type=tmpfs,src=tmpfs,dst={target},options={}", options.join(":")));
    }
    for volume in &request.volumes {
        let access = if volume.read_only { "ro" } else { "rw" };
        option(
            "mount",
            &format!("type=bind,src={},dst={},options=rbind:{access}", volume.source, volume.target),
        );
    }
    request.env.iter().for_each(|(name, value)| option("env", &format!("{name}={value}")));
    request.env_file.iter().for_each(|file| option("env-file", &file.display().to_string()));
    arguments.extend(request.engine_args.iter().cloned());
    arguments.push(request.image.clone());
    arguments.push(request.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned()));
    match &request.command {
        Some(command) => arguments.push(command.clone()),
        None if !request.args.is_empty() => arguments.extend(request.image_entrypoint.iter().cloned()),
        None => {}
    }
    arguments.extend(request.args.iter().cloned());
    Ok(arguments)
}

/// Refuses what `ctr` would leave out: a container with fewer bounds or doors than asked for is a surprise.
fn refuse_unsupported(request: &RunRequest) -> Result<(), EngineError> {
    let has_host_network = request.engine_args.iter().any(|argument| argument == "--net-host");
    let chooses_user = request.engine_args.iter().any(|argument| argument.starts_with("--user"));
    for (is_asked, wish, instead) in [
        (
            !request.ports.is_empty() && !has_host_network,
            "publish a port",
            "use podman or docker, or the engine argument --net-host",
        ),
        (
            request.user.is_some() && !chooses_user,
            "choose the user",
            "use podman or docker, or set the image's user",
        ),
        (
            request.volumes.iter().any(|volume| !volume.source.starts_with('/')),
            "mount a named volume",
            "expected an absolute path",
        ),
    ] {
        if is_asked {
            return Err(EngineError::Unsupported { engine: EngineKind::Containerd, wish, instead });
        }
    }
    Ok(())
}
