//! The subcommand `check-env`, and the same check before a program is run.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use super::requirement::Requirement;
use super::resolve::{Environment, Problem, Sources, resolve};
use crate::failure::{BAD_CONFIGURATION, BAD_USAGE, DONE, Failure};
use crate::setting::{Setting, Settings};
use crate::terminal::say;

/// What the check of the environment can be told.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        flag: "",
        variable: "FLOE_REQUIRED_ENV",
        value: "",
        default: "",
        meaning: "Variables that must be set, with blanks between them: `NAME` or `NAME:RULE`, with the rules \
                  `not-empty`, `integer`, `port`, `boolean`, `url`, `path` and `one-of=a,b`",
    },
    Setting {
        flag: "",
        variable: "FLOE_SECRETS",
        value: "",
        default: "",
        meaning: "Further variables that may come from the file that `<NAME>_FILE` names; required ones always may",
    },
    Setting {
        flag: "",
        variable: "FLOE_ENV_FILES",
        value: "",
        default: "",
        meaning: "Files of `NAME=value` lines, with `:` between them, for what the environment leaves out",
    },
    Setting {
        flag: "",
        variable: "FLOE_DEFAULTS",
        value: "",
        default: "/floe/defaults",
        meaning: "The image's own file of such lines, for what nothing else says; it may be absent",
    },
];

/// Runs `floe-init check-env`.
pub(crate) fn run(arguments: &[OsString]) -> Result<u8, Failure> {
    let settings = Settings::parse(SETTINGS, arguments)?;
    if let Some(operand) = settings.operands.first() {
        let message = format!("check-env takes no argument such as '{}'", operand.to_string_lossy());
        return Err(Failure::new(BAD_USAGE, message));
    }
    let environment = checked(&settings)?;
    say(&format!("the environment is as required ({} variables)", environment.met));
    Ok(DONE)
}

/// The environment for the program, from the settings of [`SETTINGS`].
pub(crate) fn checked(settings: &Settings) -> Result<Environment, Failure> {
    let words = |name: &str| -> Result<Vec<String>, Failure> {
        Ok(settings.text(name)?.split_whitespace().map(str::to_owned).collect())
    };
    let requirements = words("FLOE_REQUIRED_ENV")?
        .iter()
        .map(|word| Requirement::parse(word))
        .collect::<Result<_, _>>()
        .map_err(|reason| Failure::new(BAD_CONFIGURATION, format!("FLOE_REQUIRED_ENV: {reason}")))?;
    let files = settings.value("FLOE_ENV_FILES").unwrap_or_default();
    let defaults = settings.value("FLOE_DEFAULTS").map(PathBuf::from);
    let sources = Sources {
        process: env::vars_os().collect(),
        files: env::split_paths(&files).filter(|file| !file.as_os_str().is_empty()).collect(),
        defaults: defaults.filter(|file| file.exists()),
        requirements,
        secrets: words("FLOE_SECRETS")?,
    };
    resolve(&sources).map_err(|problems| Failure {
        messages: problems.into_iter().map(|Problem(line)| line).collect(),
        hints: Vec::new(),
        exit_code: BAD_CONFIGURATION,
    })
}
