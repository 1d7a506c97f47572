//! The subcommand `activate`: a profile, or a home-manager generation, chosen after the container has started.
//!
//! The wanted store path becomes the current generation of a profile of ours, so it is kept from garbage collection
//! and its programs have one place. An activation package is then run. What was done last is written down when it is
//! complete: a start that finds it does nothing, one that finds something else begins again, and an activation that
//! fails is taken back to the generation before.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Pid;

use crate::failure::{BAD_USAGE, DONE, FAILED, Failure, NOT_FOUND};
use crate::home;
use crate::setting::{Setting, Settings};
use crate::signals::{self, Signals};
use crate::terminal::say;

/// The profiles of users.
const PROFILES: &str = "/nix/var/nix/profiles/per-user";

/// What `activate` can be told.
pub(crate) const SETTINGS: &[Setting] = &[];

/// Runs `floe-init activate`.
pub(crate) fn run(arguments: &[OsString], signals: &Signals) -> Result<u8, Failure> {
    let settings = Settings::parse(SETTINGS, arguments)?;
    let [wanted] = settings.operands.as_slice() else {
        return Err(Failure::new(BAD_USAGE, "activate takes one profile or flake")
            .hint("for example: floe-init activate /nix/store/…-home-manager-generation")
            .hint("or: floe-init activate .#homeConfigurations.code.activationPackage"));
    };
    activate(wanted, &home::user_name("")?, signals)?;
    Ok(DONE)
}

/// Makes `wanted` current and returns the directory of its programs.
pub(crate) fn activate(wanted: &OsStr, user: &str, signals: &Signals) -> Result<PathBuf, Failure> {
    let active = Active::of(user);
    let programs = active.profile.join("bin");
    let path = active.realise(wanted, signals)?;
    if active.completed().is_some_and(|completed| completed == path)
        && active.current().as_ref() == Some(&path)
    {
        say(&format!("{} is active", path.display()));
        return Ok(programs);
    }
    let before = active.current().filter(|before| *before != path);
    active.switch(&path, signals)?;
    if let Err(failure) = active.run_activation(&path, signals) {
        return Err(active.take_back(before.as_deref(), failure, signals));
    }
    active.complete(&path)?;
    say(&format!("activated {}", path.display()));
    Ok(programs)
}

/// Where a user's activation is kept.
struct Active {
    /// The profile, a link to its generations.
    profile: PathBuf,
    /// The store path that was activated last, as text.
    record: PathBuf,
}

impl Active {
    fn of(user: &str) -> Self {
        let folder = Path::new(PROFILES).join(user);
        Self { profile: folder.join("activated"), record: folder.join("activated.complete") }
    }

    /// The store path that is current, whether it was activated or not.
    fn current(&self) -> Option<PathBuf> {
        self.profile.canonicalize().ok()
    }

    fn completed(&self) -> Option<PathBuf> {
        std::fs::read_to_string(&self.record).ok().map(|path| path.trim_end().into())
    }

    fn complete(&self, path: &Path) -> Result<(), Failure> {
        let write = || {
            let new = self.record.with_extension("new");
            std::fs::write(&new, format!("{}\n", path.display()))?;
            std::fs::rename(&new, &self.record)
        };
        write().map_err(|error| cannot(&format!("write {}", self.record.display()), &error))
    }

    /// The store path of a profile or flake; a flake is built, and kept by a root until it is current.
    fn realise(&self, wanted: &OsStr, signals: &Signals) -> Result<PathBuf, Failure> {
        let is_flake = wanted.to_string_lossy().contains('#') || !Path::new(wanted).exists();
        if !is_flake {
            return Path::new(wanted)
                .canonicalize()
                .map_err(|error| cannot(&format!("find {}", wanted.to_string_lossy()), &error));
        }
        let link = self.profile.with_extension("next");
        let mut build = Command::new("nix");
        build.args(["build", "--extra-experimental-features", "nix-command flakes", "--out-link"]);
        finish(build.arg(&link).arg(wanted), signals)?;
        link.canonicalize()
            .map_err(|error| cannot(&format!("find what {} was built to", link.display()), &error))
    }

    fn switch(&self, path: &Path, signals: &Signals) -> Result<(), Failure> {
        let mut set = Command::new("nix-env");
        finish(set.arg("--profile").arg(&self.profile).arg("--set").arg(path), signals)
    }

    /// Runs the package's own `activate`, where it has one; other packages are only a profile.
    fn run_activation(&self, path: &Path, signals: &Signals) -> Result<(), Failure> {
        let script = path.join("activate");
        if !script.exists() {
            return Ok(());
        }
        finish(&mut Command::new(script), signals)
    }

    /// Returns to the generation before, and the failure with what became of it.
    fn take_back(&self, before: Option<&Path>, failure: Failure, signals: &Signals) -> Failure {
        let Some(before) = before else {
            return failure.hint("nothing was active before; the next start tries again");
        };
        let returned = self.switch(before, signals).and_then(|()| self.run_activation(before, signals));
        match returned.and_then(|()| self.complete(before)) {
            Ok(()) => failure.hint(format!("{} is active again", before.display())),
            Err(second) => failure.hint(format!(
                "and {} could not be activated again: {}",
                before.display(),
                second.messages.join("; ")
            )),
        }
    }
}

/// Runs a program to its end, with its output on standard error; signals that ask for an end are passed on to it.
fn finish(command: &mut Command, signals: &Signals) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(io::stderr());
    signals.release_in(command);
    if let Some(home) = home::directory().filter(|_| env::var_os("HOME").is_none()) {
        command.env("HOME", home);
    }
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new(NOT_FOUND, format!("cannot run {name}: no such program"))
            .hint("activation needs Nix in the image, on PATH"),
        _ => cannot(&format!("run {name}"), &error),
    })?;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| cannot(&format!("await {name}"), &error))? {
            return match (status.success(), status.signal()) {
                (true, _) => Ok(()),
                (false, Some(signal)) => Err(Failure::stopped(signal, &format!("running {name}"))),
                (false, None) => Err(Failure::new(FAILED, format!("{name} failed with {status}"))),
            };
        }
        let Some(signal) = signals.next(None) else { continue };
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id.filter(|_| signal != libc::SIGCHLD) {
            signals::send(id, signal);
        }
    }
}

fn cannot(what: &str, error: &io::Error) -> Failure {
    Failure::new(FAILED, format!("cannot {what}: {error}"))
}
