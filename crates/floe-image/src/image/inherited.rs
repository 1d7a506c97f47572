//! What an image may leave out of its base's config.

use std::fmt;
use std::str::FromStr;

use super::Base;
use crate::oci::ExecutionConfig;

/// A part of a base's config, as `floe.toml` names it: `entrypoint`, `env`, `env.LANG`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InheritedField {
    field: &'static str,
    /// One variable or label, where not all are meant.
    key: Option<String>,
}

/// A text that names no part of a config.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is nothing that a base's config has")]
pub struct ParseInheritedFieldError(String);

type Clear = fn(&mut ExecutionConfig);
type ClearKey = fn(&mut ExecutionConfig, &str);

/// Every part by its name: how all of it is cleared, and how one key of it, where it has keys.
#[rustfmt::skip]
const FIELDS: [(&str, Clear, Option<ClearKey>); 10] = [
    ("entrypoint", |config| config.entrypoint = None, None),
    ("cmd", |config| config.cmd = None, None),
    ("env", |config| config.env.clear(), Some(|config, key| config.env.retain(|pair| name(pair) != key))),
    ("user", |config| config.user = None, None),
    ("workdir", |config| config.working_dir = None, None),
    ("ports", |config| config.exposed_ports.clear(), Some(|config, key| config.exposed_ports.retain(|port, _| port != key))),
    ("volumes", |config| config.volumes.clear(), Some(|config, key| config.volumes.retain(|path, _| path != key))),
    ("labels", |config| config.labels.clear(), Some(|config, key| config.labels.retain(|label, _| label != key))),
    ("stop-signal", |config| config.stop_signal = None, None),
    ("healthcheck", |config| config.healthcheck = None, None),
];

/// The name of a variable.
fn name(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

impl InheritedField {
    /// Every form, for people.
    pub const FORMS: &'static str = "entrypoint, cmd, env, env.NAME, user, workdir, ports, ports.PORT, volumes, \
                                     volumes.PATH, labels, labels.KEY, stop-signal or healthcheck";
}

impl Base {
    /// The base without a part of its config; what is not there need not be left out.
    #[must_use]
    pub fn without(mut self, left_out: &InheritedField) -> Self {
        let config = &mut self.config.config;
        let field = FIELDS.iter().find(|(name, ..)| *name == left_out.field);
        match (field, &left_out.key) {
            (Some((_, clear, _)), None) => clear(config),
            (Some((_, _, Some(clear_key))), Some(key)) => clear_key(config, key),
            _ => {}
        }
        self
    }
}

impl FromStr for InheritedField {
    type Err = ParseInheritedFieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, key) = text.split_once('.').map_or((text, None), |(name, key)| (name, Some(key)));
        let known = FIELDS.iter().find(|(known, ..)| *known == name);
        match (known, key) {
            (Some((field, ..)), None) => Ok(Self { field, key: None }),
            (Some((field, _, Some(_))), Some(key)) if !key.is_empty() => {
                Ok(Self { field, key: Some(key.to_owned()) })
            }
            _ => Err(ParseInheritedFieldError(text.to_owned())),
        }
    }
}

impl fmt::Display for InheritedField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.field)?;
        self.key.as_ref().map_or(Ok(()), |key| write!(formatter, ".{key}"))
    }
}
