//! The subcommand `run`: everything that comes before the program, then the program.
//!
//! In this order: the environment is checked; `/nix` is seeded or found seeded; the home and its links are made;
//! what is to be activated is; what is to be waited for is; the program runs.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::seed::SeedSettings;
use crate::setting::{Setting, Settings};
use crate::signals::Signals;
use crate::supervise::{Program, supervise};
use crate::{activate, environment, home, mounted_nix, seed, wait};

/// What only `run` can be told.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        flag: "",
        variable: "FLOE_SEED_FROM",
        value: "",
        default: "",
        meaning: "Seeds the `/nix` that is mounted, from the image at this root, before anything else; for image volumes",
    },
    Setting {
        flag: "",
        variable: "FLOE_ACTIVATE",
        value: "",
        default: "",
        meaning: "A profile, home-manager activation package or flake to activate before the program starts",
    },
];

/// Runs `floe-init run`, or `floe-init --` with the program behind it.
pub(crate) fn run(arguments: &[OsString], signals: &Signals) -> Result<u8, Failure> {
    let settings = Settings::parse(SETTINGS, arguments)?;
    let mut environment = environment::checked(&only(environment::SETTINGS)?)?;
    if let Some(from) = settings.value("FLOE_SEED_FROM") {
        let seeding = only(seed::SETTINGS)?;
        let seeding = SeedSettings::of(&seeding, PathBuf::from(from), Path::new("/"))?;
        seed::run_with(&seeding, signals)?;
    }
    mounted_nix::check()?;
    let user = home::user_name("")?;
    home::prepare(&user);
    if let Some(wanted) = settings.value("FLOE_ACTIVATE") {
        let programs = activate::activate(&wanted, &user, signals)?;
        prepend_to_path(&mut environment.variables, &programs);
    }
    wait::wait_for(&only(wait::SETTINGS)?, signals)?;
    supervise(&Program { words: &settings.operands, variables: &environment.variables }, signals)
}

/// The settings of a step, which has variables alone here: flags before the program are `run`'s.
fn only(table: &'static [Setting]) -> Result<Settings, Failure> {
    Settings::parse(table, &[])
}

/// Puts a directory of programs first.
fn prepend_to_path(variables: &mut std::collections::BTreeMap<OsString, OsString>, programs: &Path) {
    let path = variables.get(&OsString::from("PATH")).cloned().unwrap_or_default();
    let others = env::split_paths(&path).filter(|directory| directory != programs);
    let all: Vec<PathBuf> = std::iter::once(programs.to_owned()).chain(others).collect();
    // A directory with ':' in its name cannot be in PATH; a profile of ours never has one.
    if let Ok(path) = env::join_paths(all) {
        variables.insert("PATH".into(), path);
    }
}
