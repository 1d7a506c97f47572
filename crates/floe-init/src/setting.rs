//! Settings: each a variable of the environment, most of them a flag too. One table serves the parser, the help and
//! the manual (`docs/floe-init.md`, which a test compares).
//!
//! A flag goes before a variable, a variable before the default.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use crate::duration;
use crate::failure::{BAD_USAGE, Failure};

/// One thing that can be set.
pub(crate) struct Setting {
    /// Its flag, with the dashes; empty when there is only the variable.
    pub(crate) flag: &'static str,
    /// Its variable; empty when there is only the flag.
    pub(crate) variable: &'static str,
    /// What follows the flag, in capitals; empty for a switch.
    pub(crate) value: &'static str,
    /// What holds when it is not set; empty for nothing.
    pub(crate) default: &'static str,
    /// What it does, as one sentence without a full stop.
    pub(crate) meaning: &'static str,
}

/// What a command line and the environment say about the settings of one subcommand.
pub(crate) struct Settings {
    table: &'static [Setting],
    flags: BTreeMap<&'static str, OsString>,
    /// What follows the flags.
    pub(crate) operands: Vec<OsString>,
}

impl Settings {
    /// Reads flags up to the first operand or `--`.
    pub(crate) fn parse(table: &'static [Setting], arguments: &[OsString]) -> Result<Self, Failure> {
        let mut flags = BTreeMap::new();
        let mut rest = arguments.iter();
        let mut operands: Vec<OsString> = Vec::new();
        while let Some(argument) = rest.next() {
            let text = argument.to_str().unwrap_or_default();
            if text == "--" {
                break;
            }
            if !text.starts_with("--") {
                operands.push(argument.clone());
                break;
            }
            let (name, attached) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (text, None),
            };
            let setting = table.iter().find(|setting| setting.flag == name);
            let setting = setting.ok_or_else(|| unknown(table, name))?;
            let value = match (setting.value, attached) {
                ("", None) => OsString::new(),
                ("", Some(_)) => return Err(Failure::new(BAD_USAGE, format!("{name} takes no value"))),
                (_, Some(value)) => value.into(),
                (value, None) => rest.next().cloned().ok_or_else(|| {
                    Failure::new(BAD_USAGE, format!("{name} ends the command line: expected {value}"))
                })?,
            };
            flags.insert(setting.flag, value);
        }
        operands.extend(rest.cloned());
        Ok(Self { table, flags, operands })
    }

    /// Whether a switch is given.
    pub(crate) fn is_given(&self, flag: &'static str) -> bool {
        self.flags.contains_key(flag)
    }

    /// The value of the setting with this flag or variable; `None` when it is not set and has no default.
    ///
    /// An empty variable counts as not set: Kubernetes cannot unset one.
    pub(crate) fn value(&self, name: &str) -> Option<OsString> {
        let setting = self.setting(name);
        let variable = || {
            let value = if setting.variable.is_empty() { None } else { env::var_os(setting.variable) };
            value.filter(|value| !value.is_empty())
        };
        let default = || (!setting.default.is_empty()).then(|| OsString::from(setting.default));
        self.flags.get(setting.flag).cloned().or_else(variable).or_else(default)
    }

    /// The value as text; empty when it is not set.
    pub(crate) fn text(&self, name: &str) -> Result<String, Failure> {
        let value = self.value(name).unwrap_or_default();
        value.into_string().map_err(|value| self.bad(name, &value, "UTF-8"))
    }

    /// The value as a span of time.
    pub(crate) fn duration(&self, name: &str) -> Result<Duration, Failure> {
        self.parsed(name, "a span such as 30s or 5m, at most a day", duration::parse)
    }

    /// The value, read by `parse`; `expected` is the form for the error.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        let text = self.text(name)?;
        parse(&text).ok_or_else(|| self.bad(name, OsStr::new(&text), expected))
    }

    fn bad(&self, name: &str, value: &OsStr, expected: &str) -> Failure {
        let setting = self.setting(name);
        let given = if self.flags.contains_key(setting.flag) { setting.flag } else { setting.variable };
        Failure::new(BAD_USAGE, format!("{given} is '{}': expected {expected}", value.to_string_lossy()))
    }

    fn setting(&self, name: &str) -> &'static Setting {
        let found = self.table.iter().find(|setting| setting.flag == name || setting.variable == name);
        found.expect("a subcommand asks only for settings in its own table")
    }
}

fn unknown(table: &[Setting], name: &str) -> Failure {
    let known: Vec<&str> = table.iter().map(|setting| setting.flag).filter(|flag| !flag.is_empty()).collect();
    let failure = Failure::new(BAD_USAGE, format!("unknown flag {name}"));
    failure.hint(if known.is_empty() {
        "there are no flags here; what is to be run follows '--'".to_owned()
    } else {
        format!("the flags are {}; what is to be run follows '--'", known.join(", "))
    })
}

/// The rows of the manual's table.
#[cfg(test)]
pub(crate) fn rows(table: &[Setting]) -> String {
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    table
        .iter()
        .map(|setting| {
            let flag = [setting.flag, setting.value].join(" ");
            let flag = if setting.flag.is_empty() { "" } else { flag.trim_end() };
            let cells =
                [code(setting.variable), code(flag), code(setting.default), setting.meaning.to_owned()];
            format!("| {} |\n", cells.join(" | "))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Setting] = &[
        Setting { flag: "--to", variable: "", value: "DIR", default: "/seed", meaning: "Where" },
        Setting { flag: "--verify", variable: "", value: "", default: "", meaning: "Only looks" },
    ];

    fn parse(arguments: &[&str]) -> Result<Settings, Failure> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        Settings::parse(TABLE, &arguments)
    }

    #[test]
    fn reads_flags_then_operands() {
        for (arguments, to, verify, operands) in [
            (&[] as &[&str], "/seed", false, &[] as &[&str]),
            (&["--to", "/a", "b", "--verify"], "/a", false, &["b", "--verify"]),
            (&["--to=/a=b", "--verify", "--", "--to"], "/a=b", true, &["--to"]),
        ] {
            let settings = parse(arguments).expect("a command line");
            assert_eq!(settings.text("--to").expect("text"), to);
            assert_eq!(settings.is_given("--verify"), verify);
            assert_eq!(settings.operands, operands);
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for (arguments, expected) in [
            (&["--from"] as &[&str], "unknown flag --from"),
            (&["--to"], "--to ends the command line: expected DIR"),
            (&["--verify=yes"], "--verify takes no value"),
        ] {
            let failure = parse(arguments).err().expect(expected);
            assert_eq!((failure.messages[0].as_str(), failure.exit_code), (expected, BAD_USAGE));
        }
    }
}
