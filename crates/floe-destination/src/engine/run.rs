//! Running a container: a request in one form, argument lists in each engine's.

use std::path::PathBuf;
use std::process::{self, Command, ExitStatus};

use super::probe::cannot_start;
use super::{EngineError, EngineKind, containerd, docker, podman};

/// What to run, and how tightly. The default is the image as it is, in the foreground, with the engine's own bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunRequest {
    /// The image, as the engine calls it; see [`ImageName::in_engine`](crate::ImageName::in_engine).
    pub image: String,
    /// The image's own entrypoint, from its config; only `ctr` needs it, when there are `args` and no `command`.
    pub image_entrypoint: Vec<String>,
    /// A program in place of the image's entrypoint.
    pub command: Option<String>,
    /// The program's arguments, in place of the image's `Cmd`.
    pub args: Vec<String>,
    /// The container's name.
    pub name: Option<String>,
    /// `user`, `uid` or `uid:gid` in place of the image's.
    pub user: Option<String>,
    /// Whether the container goes when it ends.
    pub remove: bool,
    /// Whether it runs in the background.
    pub detach: bool,
    /// Whether it gets standard input.
    pub interactive: bool,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whether its root file system cannot be written, without exception but `tmpfs` and `volumes`.
    pub read_only: bool,
    /// Temporary file systems: a path, or `path:options` such as `/tmp:size=64m,mode=1777`.
    pub tmpfs: Vec<String>,
    /// Capabilities that are taken away: `ALL`, or names such as `NET_RAW`.
    pub cap_drop: Vec<String>,
    /// Whether programs cannot gain privileges, by setuid files for instance.
    pub no_new_privileges: bool,
    /// Ports, as the engine writes them: `8080:80`, `127.0.0.1:8080:80/tcp`.
    pub ports: Vec<String>,
    /// Environment variables, in order.
    pub env: Vec<(String, String)>,
    /// Files of environment variables, in order.
    pub env_file: Vec<PathBuf>,
    /// Directories and files of this machine that the container sees.
    pub volumes: Vec<Volume>,
    /// More options of the engine's own `run`, just before the image: `--ulimit=nofile=1024:1024`.
    pub engine_args: Vec<String>,
}

/// A directory or file of this machine in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// An absolute path of this machine, or a volume's name.
    pub source: String,
    /// The absolute path in the container.
    pub target: String,
    /// Whether the container cannot write to it.
    pub read_only: bool,
}

/// The arguments behind the engine's program name; depends on the request alone.
///
/// # Errors
///
/// When the engine has no option for something in the request; it is never left out silently.
pub fn run_arguments(engine: EngineKind, request: &RunRequest) -> Result<Vec<String>, EngineError> {
    match engine {
        EngineKind::Podman => Ok(podman::run_arguments(request)),
        EngineKind::Docker => Ok(docker::run_arguments(request)),
        EngineKind::Containerd => containerd::run_arguments(request),
    }
}

/// Runs a container with floe's own standard input and outputs, and returns how the engine's program ended.
///
/// In the foreground that is the container's own status; what an engine complains about goes to standard error, unchanged.
/// `ctr` needs a name for every container and gets `floe-<process id>` where the request has none.
///
/// # Errors
///
/// When the program is not installed or cannot be started, or has no option for something in the request.
pub fn run(engine: EngineKind, request: &RunRequest) -> Result<ExitStatus, EngineError> {
    let mut request = request.clone();
    if engine == EngineKind::Containerd && request.name.is_none() {
        request.name = Some(format!("floe-{}", process::id()));
    }
    Command::new(engine.program())
        .args(run_arguments(engine, &request)?)
        .status()
        .map_err(|source| cannot_start(engine, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(engine: EngineKind, request: &RunRequest) -> String {
        run_arguments(engine, request).expect("the engine can do it").join(" ")
    }

    #[test]
    fn writes_each_engine_s_arguments() {
        let plain = RunRequest { image: "app:1".to_owned(), ..RunRequest::default() };
        let hardened = RunRequest {
            read_only: true,
            remove: true,
            no_new_privileges: true,
            cap_drop: vec!["ALL".to_owned()],
            tmpfs: vec!["/tmp:size=64m,mode=1777".to_owned()],
            ..plain.clone()
        };
        let equipped = RunRequest {
            image_entrypoint: vec!["/bin/app".to_owned(), "--log".to_owned()],
            args: vec!["serve".to_owned(), "--port=80".to_owned()],
            name: Some("web".to_owned()),
            interactive: true,
            tty: true,
            env: vec![("A".to_owned(), "b c".to_owned())],
            env_file: vec!["env".into()],
            volumes: vec![Volume { source: "/srv".to_owned(), target: "/data".to_owned(), read_only: true }],
            engine_args: vec!["--memory=1g".to_owned()],
            ..plain.clone()
        };
        let commanded = RunRequest { command: Some("/bin/sh".to_owned()), ..equipped.clone() };
        for (request, podman, docker, containerd) in [
            (&plain, "run --pull=never app:1", "run --pull=never app:1", "run app:1 floe"),
            (
                &hardened,
                "run --pull=never --rm --read-only --read-only-tmpfs=false --security-opt=no-new-privileges \
                 --cap-drop=ALL --tmpfs=/tmp:size=64m,mode=1777 app:1",
                "run --pull=never --rm --read-only --security-opt=no-new-privileges --cap-drop=ALL \
                 --tmpfs=/tmp:size=64m,mode=1777 app:1",
                "run --rm --read-only --cap-drop CAP_AUDIT_WRITE --cap-drop CAP_CHOWN --cap-drop CAP_DAC_OVERRIDE \
                 --cap-drop CAP_FOWNER --cap-drop CAP_FSETID --cap-drop CAP_KILL --cap-drop CAP_MKNOD \
                 --cap-drop CAP_NET_BIND_SERVICE --cap-drop CAP_NET_RAW --cap-drop CAP_SETFCAP \
                 --cap-drop CAP_SETGID --cap-drop CAP_SETPCAP --cap-drop CAP_SETUID --cap-drop CAP_SYS_CHROOT \
                 --mount type=tmpfs,src=tmpfs,dst=/tmp,options=nosuid:nodev:size=64m:mode=1777 app:1 floe",
            ),
            (
                &equipped,
                "run --pull=never --interactive --tty --name=web --env=A=b c --env-file=env --volume=/srv:/data:ro \
                 --memory=1g app:1 serve --port=80",
                "run --pull=never --interactive --tty --name=web --env=A=b c --env-file=env --volume=/srv:/data:ro \
                 --memory=1g app:1 serve --port=80",
                "run --tty --mount type=bind,src=/srv,dst=/data,options=rbind:ro --env A=b c --env-file env \
                 --memory=1g app:1 web /bin/app --log serve --port=80",
            ),
            (
                &commanded,
                "run --pull=never --interactive --tty --name=web --env=A=b c --env-file=env --volume=/srv:/data:ro \
                 --entrypoint=/bin/sh --memory=1g app:1 serve --port=80",
                "run --pull=never --interactive --tty --name=web --env=A=b c --env-file=env --volume=/srv:/data:ro \
                 --entrypoint=/bin/sh --memory=1g app:1 serve --port=80",
                "run --tty --mount type=bind,src=/srv,dst=/data,options=rbind:ro --env A=b c --env-file env \
                 --memory=1g app:1 web /bin/sh serve --port=80",
            ),
        ] {
            assert_eq!(words(EngineKind::Podman, request), podman);
            assert_eq!(words(EngineKind::Docker, request), docker);
            assert_eq!(words(EngineKind::Containerd, request), containerd);
        }
    }

    #[test]
    fn never_leaves_out_what_containerd_cannot_do() {
        let plain = RunRequest { image: "app:1".to_owned(), ..RunRequest::default() };
        let named = Volume { source: "data".to_owned(), target: "/data".to_owned(), read_only: false };
        for request in [
            RunRequest { ports: vec!["80:80".to_owned()], ..plain.clone() },
            RunRequest { user: Some("1000".to_owned()), ..plain.clone() },
            RunRequest { volumes: vec![named], ..plain.clone() },
        ] {
            let error = run_arguments(EngineKind::Containerd, &request).expect_err("ctr cannot do it");
            assert!(error.to_string().starts_with("containerd cannot "), "{error}");
        }
        let engine_args = vec!["--net-host".to_owned()];
        let request = RunRequest { ports: vec!["80:80".to_owned()], engine_args, ..plain };
        assert_eq!(words(EngineKind::Containerd, &request), "run --net-host app:1 floe");
    }
}
