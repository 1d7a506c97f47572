//! The subcommand `seed`: its settings, what it says, and its hints.

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use floe_store::write::database::JournalMode;
use rustix::process::geteuid;

use super::copy::CopyError;
use super::image::{Image, ImageError};
use super::locks::LockError;
use super::marker::{self, DatabaseModeError};
use super::order::{self, SeedError, Seeded};
use super::progress::{Progress, Reporter, Stop};
use super::room::{self, RoomError};
use super::verify::{self, Finding};
use super::volume::{Volume, VolumeError};
use super::workers;
use crate::failure::{BAD_CONFIGURATION, DONE, FAILED, Failure};
use crate::home;
use crate::setting::{Setting, Settings};
use crate::signals::{self, Signals};
use crate::terminal::{quantity, say};

/// How long the waiting thread sleeps when nothing happens: the grain of progress.
const TICK: Duration = Duration::from_millis(500);

/// What `seed` can be told.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        flag: "--from",
        variable: "FLOE_SEED_FROM",
        value: "DIR",
        default: "/",
        meaning: "The image's root: its `nix` and `floe/registration` are what is seeded",
    },
    Setting {
        flag: "--to",
        variable: "FLOE_SEED_TO",
        value: "DIR",
        default: "/seed",
        meaning: "Where the volume is mounted; `nix` and `home` are made in it",
    },
    Setting {
        flag: "--user",
        variable: "FLOE_USER",
        value: "NAME",
        default: "",
        meaning: "Whose profile and home are made; by default `USER`, else the name of the uid in /etc/passwd",
    },
    Setting {
        flag: "--threads",
        variable: "FLOE_SEED_THREADS",
        value: "N",
        default: "",
        meaning: "Threads that copy; by default one for each processor, at most 8",
    },
    Setting {
        flag: "--timeout",
        variable: "FLOE_SEED_TIMEOUT",
        value: "SPAN",
        default: "10m",
        meaning: "How long another seeder, a garbage collection or a busy database is waited for",
    },
    Setting {
        flag: "--ballast",
        variable: "FLOE_BALLAST",
        value: "SIZE",
        default: "32M",
        meaning: "Room that is kept in `nix/.floe/ballast`, to be deleted when the volume is full; 0 for none",
    },
    Setting {
        flag: "--database-mode",
        variable: "FLOE_DATABASE_MODE",
        value: "MODE",
        default: "wal",
        meaning: "`wal`, or `truncate` where Nix runs with `use-sqlite-wal = false` (NFS); one for all who use it",
    },
    Setting {
        flag: "--verify",
        variable: "",
        value: "",
        default: "",
        meaning: "Checks the database and every valid path of the volume against its NAR hash; changes nothing",
    },
    Setting {
        flag: "--repair",
        variable: "",
        value: "",
        default: "",
        meaning: "Like `--verify`, and brings back from the image what is damaged or missing",
    },
];

/// What a seed is told.
pub(crate) struct SeedSettings {
    pub(super) image_root: PathBuf,
    pub(crate) volume: Volume,
    pub(super) user: String,
    pub(super) threads: usize,
    pub(super) timeout: Duration,
    pub(super) ballast: u64,
    pub(super) database_mode: JournalMode,
    /// Whether the volume holds homes too, as it does for an init step.
    pub(super) makes_home: bool,
}

impl SeedSettings {
    /// Reads the settings, of which `table` must have those of [`SETTINGS`] but for the switches.
    pub(crate) fn of(settings: &Settings, from: PathBuf, to: &Path) -> Result<Self, Failure> {
        let threads = match settings.value("--threads") {
            None => workers::default_threads(),
            Some(_) => settings.parsed("--threads", "a number from 1 to 64", |text| {
                text.parse().ok().filter(|threads| (1..=64).contains(threads))
            })?,
        };
        Ok(Self {
            image_root: from,
            volume: Volume::below(to),
            user: home::user_name(&settings.text("--user")?)?,
            threads,
            timeout: settings.duration("--timeout")?,
            ballast: settings.parsed("--ballast", "a size such as 32M or 1G", room::parse_size)?,
            database_mode: settings.parsed("--database-mode", "wal or truncate", marker::parse_mode)?,
            makes_home: to != Path::new("/"),
        })
    }

    fn registration(&self) -> PathBuf {
        self.image_root.join("floe/registration")
    }
}

/// Runs `floe-init seed`.
pub(crate) fn run(arguments: &[OsString], signals: &Signals) -> Result<u8, Failure> {
    let settings = Settings::parse(SETTINGS, arguments)?;
    if let Some(operand) = settings.operands.first() {
        let message = format!("seed takes no argument such as '{}'", operand.to_string_lossy());
        return Err(Failure::new(crate::failure::BAD_USAGE, message));
    }
    let from = PathBuf::from(settings.value("--from").unwrap_or_default());
    let to = PathBuf::from(settings.value("--to").unwrap_or_default());
    let seed = SeedSettings::of(&settings, from, &to)?;
    let repairs = settings.is_given("--repair");
    if settings.is_given("--verify") || repairs {
        let image = read_image(&seed)?;
        let check = |progress: &Progress, stop: &Stop| verify::verify(&image, &seed, repairs, progress, stop);
        let (findings, _) = watched("verified", signals, &seed, check)?;
        return report(&seed.volume, &findings);
    }
    run_with(&seed, signals)?;
    Ok(DONE)
}

/// Seeds, with progress, until a signal asks for an end.
pub(crate) fn run_with(settings: &SeedSettings, signals: &Signals) -> Result<(), Failure> {
    let image = read_image(settings)?;
    let seed = |progress: &Progress, stop: &Stop| order::seed(&image, settings, progress, stop);
    let (Seeded { copied, copied_bytes, present }, elapsed) = watched("seeded", signals, settings, seed)?;
    let nix = settings.volume.nix.display();
    say(&format!(
        "seeded {nix} with {copied} store paths ({}) in {elapsed}; {present} were there",
        quantity(copied_bytes)
    ));
    Ok(())
}

fn read_image(settings: &SeedSettings) -> Result<Image, Failure> {
    Image::read(&settings.image_root, &settings.registration()).map_err(|error| {
        let failure = Failure::of(BAD_CONFIGURATION, &error);
        match error {
            ImageError::Unreadable { .. } => failure
                .hint("--from names the image's root; the image must have been made with a volume in mind"),
            ImageError::Malformed { .. } => {
                failure.hint("build the image again, with the same floe as its init")
            }
        }
    })
}

/// Runs `work` on a thread of its own, while this one says how far it is and takes signals.
fn watched<T: Send>(
    what: &'static str,
    signals: &Signals,
    settings: &SeedSettings,
    work: impl FnOnce(&Progress, &Stop) -> Result<T, SeedError> + Send,
) -> Result<(T, String), Failure> {
    let (progress, stop) = (Progress::default(), Stop::default());
    let mut reporter = Reporter::new(what);
    let mut ending = None;
    let outcome = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let outcome = work(&progress, &stop);
            signals::wake();
            outcome
        });
        while !thread.is_finished() {
            if let Some(signal) = signals.ending(TICK) {
                ending = ending.or(Some(signal));
                stop.ask();
            }
            reporter.tick(&progress);
        }
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    match (outcome, ending) {
        (Ok(done), _) => Ok((done, reporter.elapsed())),
        (Err(_), Some(signal)) => Err(Failure::stopped(signal, "seeding; the next start goes on from here")),
        (Err(error), None) => Err(explain(&error, settings)),
    }
}

fn report(volume: &Volume, findings: &[Finding]) -> Result<u8, Failure> {
    let nix = volume.nix.display();
    if findings.is_empty() {
        say(&format!("{nix} is sound"));
        return Ok(DONE);
    }
    for finding in findings {
        let repaired = if finding.repaired { "; repaired" } else { "" };
        say(&format!("{} {}{repaired}", finding.path, finding.fault));
    }
    let left = findings.iter().filter(|finding| !finding.repaired).count();
    if left == 0 {
        return Ok(DONE);
    }
    let failure = Failure::new(FAILED, format!("{left} store paths of {nix} are not sound"));
    Err(failure.hint("--repair brings back those of the image; 'nix-store --repair-path' those from a cache"))
}

/// What to do about an error.
fn explain(error: &SeedError, settings: &SeedSettings) -> Failure {
    let nix = settings.volume.nix.display();
    let uid = geteuid().as_raw();
    let failure = |code| Failure::of(code, error);
    match error {
        SeedError::Volume(VolumeError::Foreign { found, .. }) => failure(BAD_CONFIGURATION).hint(format!(
            "run as uid {found}, change the volume's owner, or use another volume"
        )),
        SeedError::Volume(VolumeError::NotThere { .. }) => {
            failure(BAD_CONFIGURATION).hint("mount the volume there, or name its mount with --to or FLOE_SEED_TO")
        }
        SeedError::Volume(VolumeError::Make { .. }) => failure(BAD_CONFIGURATION).hint(format!(
            "the volume's root must let uid {uid} make directories: fsGroup in Kubernetes, chown elsewhere"
        )),
        SeedError::DatabaseMode(DatabaseModeError::Other { used, .. }) => failure(BAD_CONFIGURATION)
            .hint(format!("set FLOE_DATABASE_MODE={used}, with use-sqlite-wal in nix.conf to match")),
        SeedError::Room(RoomError::Bytes { .. } | RoomError::Inodes { .. }) => {
            failure(BAD_CONFIGURATION).hint(format!(
                "use a larger volume, or make room: delete {nix}/.floe/ballast, then run nix-collect-garbage"
            ))
        }
        SeedError::Copy(CopyError::Different { .. }) => {
            failure(BAD_CONFIGURATION).hint("pull or build the image again; nothing was registered")
        }
        SeedError::Lock(LockError::Held { .. }) => {
            failure(FAILED).hint("a longer wait: --timeout or FLOE_SEED_TIMEOUT")
        }
        _ if is_full(error) => failure(FAILED).hint(format!(
            "the volume filled up while it was seeded; make room and start again: what was copied to {nix} is kept"
        )),
        _ => failure(FAILED),
    }
}

/// Whether the volume had no room left, at any depth of the error.
fn is_full(error: &SeedError) -> bool {
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        let system = error.downcast_ref::<io::Error>();
        if system.is_some_and(|error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        }) {
            return true;
        }
        next = error.source();
    }
    false
}
