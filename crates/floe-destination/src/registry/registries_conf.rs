//! `registries.conf`: where a reference really leads.
//!
//! Format: containers-registries.conf(5), version 2. A host and a repository come in; the registry's own [`Location`]
//! and, for pulls, its mirrors go out. The entry with the longest matching prefix decides.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::credentials::CredentialEnvironment;

/// A repository on a host, after rewriting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Location {
    /// The host with its port.
    pub(super) host: String,
    /// The repository on that host.
    pub(super) repository: String,
    /// Whether plain HTTP and unknown certificates are accepted.
    pub(super) insecure: bool,
    /// Which references a mirror is asked for; the registry itself is asked for all.
    pub(super) serves: Serves,
}

/// Which references a mirror is asked for (`pull-from-mirror`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Serves {
    #[default]
    All,
    DigestOnly,
    TagOnly,
}

/// Where pulls and pushes of one repository go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The registry itself.
    pub(super) primary: Location,
    /// Asked before the registry, in order, for pulls only.
    pub(super) mirrors: Vec<Location>,
    /// Whether the administrator forbids the registry.
    pub(super) blocked: bool,
}

/// A configuration file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistriesConfError {
    /// The file cannot be read.
    #[error("cannot read '{}'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML of version 2; going on could send an image to the wrong place.
    #[error("'{}' is not a registries.conf of version 2", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: Box<toml::de::Error>,
    },
}

#[derive(Default, Deserialize)]
struct File {
    #[serde(default, rename = "registry")]
    registries: Vec<Entry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default, rename = "mirror")]
    mirrors: Vec<Mirror>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: Serves,
}

/// Every entry of the files that apply.
#[derive(Clone, Debug, Default)]
pub(super) struct RegistriesConf {
    /// By prefix: a later file's entry replaces an earlier one's.
    entries: BTreeMap<String, Entry>,
}

/// The files that apply, in the order in which they are read.
///
/// # Errors
/// When a drop-in folder exists but cannot be read.
pub(super) fn files(environment: &CredentialEnvironment) -> Result<Vec<PathBuf>, RegistriesConfError> {
    let own = environment.config_dir().map(|folder| folder.join("containers"));
    let system = PathBuf::from("/etc/containers");
    let given = env::var_os("CONTAINERS_REGISTRIES_CONF").filter(|path| !path.is_empty()).map(PathBuf::from);
    let own_main = own.as_ref().map(|folder| folder.join("registries.conf")).filter(|path| path.exists());
    let mut files = vec![given.or(own_main).unwrap_or_else(|| system.join("registries.conf"))];
    for folder in [Some(system), own].into_iter().flatten() {
        let folder = folder.join("registries.conf.d");
        let mut parts = match fs::read_dir(&folder) {
            Ok(entries) => {
                entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
            }
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
        .map_err(|source| RegistriesConfError::Read { path: folder, source })?;
        parts.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
        parts.sort();
        files.extend(parts);
    }
    Ok(files)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl RegistriesConf {
    /// Reads files in order; a file that is not there says nothing.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, RegistriesConfError> {
        let mut conf = Self::default();
        for path in files {
            match fs::read_to_string(path) {
                Ok(text) => conf.add(&text, path)?,
                Err(error) if is_absent(&error) => {}
                Err(source) => return Err(RegistriesConfError::Read { path: path.clone(), source }),
            }
        }
        Ok(conf)
    }

    fn add(&mut self, text: &str, path: &Path) -> Result<(), RegistriesConfError> {
        let file: File = toml::from_str(text).map_err(|source| RegistriesConfError::Toml {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        for mut entry in file.registries {
            if entry.prefix.is_empty() {
                entry.prefix.clone_from(&entry.location);
            }
            self.entries.insert(entry.prefix.clone(), entry);
        }
        Ok(())
    }

    /// Where a repository's requests go.
    pub(super) fn route(&self, host: &str, repository: &str) -> Route {
        let name = format!("{host}/{repository}");
        let best = self
            .entries
            .values()
            .filter_map(|entry| Some((matched_length(&entry.prefix, &name)?, entry)))
            .max_by_key(|(_, entry)| entry.prefix.len());
        let unchanged = |insecure| Location {
            host: host.to_owned(),
            repository: repository.to_owned(),
            insecure,
            serves: Serves::All,
        };
        let Some((matched, entry)) = best else {
            return Route { primary: unchanged(false), mirrors: Vec::new(), blocked: false };
        };
        let rest = &name[matched..];
        let rewrite = |location: &str, insecure, serves| {
            let name = format!("{location}{rest}");
            let (host, repository) = name.split_once('/')?;
            Some(Location { host: host.to_owned(), repository: repository.to_owned(), insecure, serves })
        };
        let primary = if entry.location.is_empty() {
            None
        } else {
            rewrite(&entry.location, entry.insecure, Serves::All)
        };
        let mirrors = entry.mirrors.iter().filter_map(|mirror| {
            let only = if entry.mirror_by_digest_only { Serves::DigestOnly } else { mirror.pull_from_mirror };
            rewrite(&mirror.location, mirror.insecure, only)
        });
        Route {
            primary: primary.unwrap_or_else(|| unchanged(entry.insecure)),
            mirrors: mirrors.collect(),
            blocked: entry.blocked,
        }
    }
}

/// How many bytes of a name a prefix stands for; `*.example.com` stands for the whole host.
fn matched_length(prefix: &str, name: &str) -> Option<usize> {
    if let Some(domain) = prefix.strip_prefix('*') {
        let host_end = name.find('/').unwrap_or(name.len());
        let host = &name[..host_end];
        let host_name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        return (domain.starts_with('.') && host_name.ends_with(domain)).then_some(host_end);
    }
    let rest = name.strip_prefix(prefix)?;
    (!prefix.is_empty() && (rest.is_empty() || rest.starts_with('/'))).then_some(prefix.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = r#"
        unqualified-search-registries = ["docker.io"]

        [[registry]]
        location = "plain.example.com"
        insecure = true

        [[registry]]
        prefix = "docker.io"
        [[registry.mirror]]
        location = "mirror.example.com:5000/hub"
        [[registry.mirror]]
        location = "second.example.com"
        insecure = true
        pull-from-mirror = "digest-only"

        [[registry]]
        prefix = "docker.io/team"
        location = "inner.example.com/copies"

        [[registry]]
        prefix = "*.evil.example"
        blocked = true
    "#;

    fn check(host: &str, repository: &str, expected: &[&str]) {
        let mut conf = RegistriesConf::default();
        conf.add(CONF, Path::new("registries.conf")).expect("a configuration");
        let route = conf.route(host, repository);
        let mut found: Vec<String> = [&route.primary]
            .into_iter()
            .chain(&route.mirrors)
            .map(|place| {
                let mark = if place.insecure { " insecure" } else { "" };
                let only = if place.serves == Serves::DigestOnly { " by digest" } else { "" };
                format!("{}/{}{mark}{only}", place.host, place.repository)
            })
            .collect();
        if route.blocked {
            found.push("blocked".to_owned());
        }
        assert_eq!(found, expected, "{host}/{repository}");
    }

    #[test]
    fn the_longest_prefix_decides() {
        check("other.example.com", "a", &["other.example.com/a"]);
        check("plain.example.com", "a", &["plain.example.com/a insecure"]);
        check("plain.example.com.evil", "a", &["plain.example.com.evil/a"]);
        check(
            "docker.io",
            "library/nginx",
            &[
                "docker.io/library/nginx",
                "mirror.example.com:5000/hub/library/nginx",
                "second.example.com/library/nginx insecure by digest",
            ],
        );
        check("docker.io", "team/app", &["inner.example.com/copies/app"]);
        check(
            "docker.io",
            "teamwork/app",
            &[
                "docker.io/teamwork/app",
                "mirror.example.com:5000/hub/teamwork/app",
                "second.example.com/teamwork/app insecure by digest",
            ],
        );
        check("a.evil.example:5000", "x", &["a.evil.example:5000/x", "blocked"]);
    }

    #[test]
    fn refuses_what_is_no_configuration() {
        let mut conf = RegistriesConf::default();
        assert!(conf.add("[[registry]]\nlocation = 1", Path::new("x")).is_err());
    }
}
