//! How a container starts: the config of what was asked, of what floe adds, and of what a base says.
//!
//! What was asked wins; then the base's word; then floe's own default. What belongs together is taken together: `Cmd`
//! with the `Entrypoint` that it is meant for, `HOME` and `USER` with the user (OCI image-spec v1.1, config.md,
//! "Properties").

use std::collections::{BTreeMap, BTreeSet};

use floe_store::tree::NodeKind;

use super::account::Account;
use super::compose::{ComposeError, Site};
use super::{Base, REQUIRED_ENV_LABEL};
use crate::oci::{Config, Empty, ExecutionConfig, RootFs};

/// Where engines look for programs when an image does not say (runc, docker and podman agree).
const ENGINES_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Fields of a base's config that speak of the container it was made in, or of builds upon it, and not of what runs.
const NOT_INHERITED: [&str; 11] = [
    "AttachStderr",
    "AttachStdin",
    "AttachStdout",
    "Domainname",
    "Hostname",
    "Image",
    "OnBuild",
    "OpenStdin",
    "StdinOnce",
    "Tty",
    "NetworkDisabled",
];

impl Site<'_> {
    pub(super) fn config(&self, account: &Account, ca_bundle: Option<&str>) -> Result<Config, ComposeError> {
        let settings = self.settings;
        let base = settings.base.as_ref();
        let inherited = base.map(|base| base.config.config.clone()).unwrap_or_default();

        let mut labels = inherited.labels.clone();
        labels.extend(settings.labels.clone());
        let required = labels.get(REQUIRED_ENV_LABEL).map(String::as_str).unwrap_or_default();
        let required: BTreeSet<&str> = required
            .split(' ')
            .filter(|name| !name.is_empty())
            .chain(settings.required_env.iter().map(String::as_str))
            .collect();
        if !required.is_empty() {
            labels.insert(REQUIRED_ENV_LABEL.to_owned(), Vec::from_iter(required).join(" "));
        }
        let (entrypoint, cmd) = self.start(&inherited)?;
        let joined = |base: &BTreeMap<String, Empty>, asked: &BTreeSet<String>| {
            base.keys().chain(asked).map(|name| (name.clone(), Empty {})).collect()
        };
        let mut other = inherited.other.clone();
        other.retain(|name, _| !NOT_INHERITED.contains(&name.as_str()));
        Ok(Config {
            created: Some(settings.created.to_string()),
            author: None,
            architecture: settings.platform.architecture.clone(),
            os: settings.platform.os.clone(),
            variant: settings.platform.variant.clone(),
            config: ExecutionConfig {
                user: Some(account.user.clone()),
                exposed_ports: joined(&inherited.exposed_ports, &settings.ports),
                env: self.environment(account, ca_bundle)?,
                entrypoint,
                cmd,
                healthcheck: settings.healthcheck.clone().or(inherited.healthcheck),
                volumes: joined(&inherited.volumes, &settings.volumes),
                working_dir: settings.workdir.clone().or(inherited.working_dir),
                labels,
                stop_signal: settings.stop_signal.clone().or(inherited.stop_signal),
                other,
            },
            rootfs: RootFs::layers(base.map_or_else(Vec::new, |base| base.config.rootfs.diff_ids.clone())),
            history: base.map_or_else(Vec::new, |base| base.config.history.clone()),
            other: BTreeMap::new(),
        })
    }

    /// `Entrypoint` and `Cmd`.
    ///
    /// A base with an entrypoint is made to be started so; one with a mere `Cmd`, such as a distribution's shell, gives
    /// way to the program that was put in.
    fn start(&self, base: &ExecutionConfig) -> Result<(Words, Words), ComposeError> {
        let settings = self.settings;
        let inherits_cmd = base.cmd.clone().filter(|words| !words.is_empty());
        let inherits_entrypoint = base.entrypoint.clone().filter(|words| !words.is_empty());
        Ok(match (&settings.entrypoint, &settings.cmd) {
            (Some(entrypoint), cmd) => (Some(entrypoint.clone()), cmd.clone()),
            (None, Some(cmd)) => (inherits_entrypoint, Some(cmd.clone())),
            (None, None) if inherits_entrypoint.is_some() => (inherits_entrypoint, inherits_cmd),
            (None, None) => match self.own_program()? {
                Some(program) => (Some(vec![program]), None),
                None => (None, inherits_cmd),
            },
        })
    }

    /// The variables, sorted by name.
    fn environment(&self, account: &Account, ca_bundle: Option<&str>) -> Result<Vec<String>, ComposeError> {
        let base = self.settings.base.as_ref().map(variables);
        let mut env = BTreeMap::new();
        if let Some(bundle) = ca_bundle {
            env.insert("SSL_CERT_FILE".to_owned(), bundle.to_owned());
        }
        let behind = match &base {
            None => "/bin",
            Some(base) => base.get("PATH").map_or(ENGINES_PATH, String::as_str),
        };
        let path = self.search_path(behind)?;
        env.extend(base.unwrap_or_default());
        env.insert("PATH".to_owned(), path);
        if let Some(names) = &account.names {
            env.insert("HOME".to_owned(), names.home.clone());
            env.insert("USER".to_owned(), names.name.clone());
        }
        env.extend(self.settings.env.clone());
        Ok(env.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    /// The `bin` folders of the roots, then what stands `behind` them: always something, since engines that are given
    /// no PATH fail to start a program by name.
    fn search_path(&self, behind: &str) -> Result<String, ComposeError> {
        let mut folders = Vec::new();
        for root in self.closure.roots() {
            if self.node_kind(root, "bin")?.is_some() {
                folders.push(format!("{}/bin", self.closure.store_dir().full_path(root)));
            }
        }
        folders.push(behind.to_owned());
        Ok(folders.join(":"))
    }

    /// The program that the first root is about: itself when it is one, else `bin/<package name>`.
    fn own_program(&self) -> Result<Option<String>, ComposeError> {
        let Some(root) = self.closure.roots().first() else { return Ok(None) };
        let full_path = self.closure.store_dir().full_path(root);
        if self.node_kind(root, "")? == Some(NodeKind::Regular { executable: true }) {
            return Ok(Some(full_path));
        }
        let program = format!("bin/{}", root.package().name);
        Ok(match self.node_kind(root, &program)? {
            Some(NodeKind::Regular { executable: true } | NodeKind::Symlink) => {
                Some(format!("{full_path}/{program}"))
            }
            _ => None,
        })
    }
}

/// A command, word by word; `None`: nothing is said.
type Words = Option<Vec<String>>;

/// A base's variables by name; of a name that is there twice the last one counts, as in engines.
fn variables(base: &Base) -> BTreeMap<String, String> {
    let pairs = base.config.config.env.iter().filter_map(|variable| variable.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
