//! What is asked of one image, by an entry of `floe.toml` or by flags.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use floe_image::image::InheritedField;
use floe_image::layer::root_tree::{Conflicts, RootEntry};
use floe_image::layer::{Compression, Owner};
use floe_image::oci::{Healthcheck, Platform};
use floe_image::plan::Strategy;
use floe_store::System;

use super::value::{BaseName, Content, Created, Port};

/// What is asked of one image. `None` or an empty table means that nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImageOptions {
    /// The image's name without a tag, such as `app` or `registry.example.com/team/app`.
    pub(crate) name: Option<String>,
    /// The tag.
    pub(crate) tag: Option<String>,
    /// The image that it is built upon.
    pub(crate) base: Option<BaseName>,
    /// What of the base's config is not inherited.
    pub(crate) base_without: Option<Vec<InheritedField>>,
    /// What the image holds.
    pub(crate) contents: Option<Vec<Content>>,
    /// What is always run.
    pub(crate) entrypoint: Option<Vec<String>>,
    /// The entrypoint's arguments, which `floe run IMAGE -- …` replaces.
    pub(crate) cmd: Option<Vec<String>>,
    /// Environment variables.
    pub(crate) env: BTreeMap<String, String>,
    /// Who runs it; a single number is the user and its group.
    pub(crate) user: Option<Owner>,
    /// Where the process starts, absolute.
    pub(crate) workdir: Option<String>,
    /// Where the process listens.
    pub(crate) ports: Option<Vec<Port>>,
    /// Folders that are volumes, absolute.
    pub(crate) volumes: Option<Vec<String>>,
    /// Labels of the config.
    pub(crate) labels: BTreeMap<String, String>,
    /// Annotations of the manifest.
    pub(crate) annotations: BTreeMap<String, String>,
    /// The signal that stops the process.
    pub(crate) stop_signal: Option<String>,
    /// How an engine sees whether the container is well.
    pub(crate) healthcheck: Option<Healthcheck>,
    /// When the image says that it was made.
    pub(crate) created: Option<Created>,
    /// The most layers.
    pub(crate) max_layers: Option<NonZeroUsize>,
    /// How store paths are shared out over layers.
    pub(crate) layering: Option<Strategy>,
    /// A file that says how often packages change.
    pub(crate) frequencies: Option<PathBuf>,
    /// How layers are compressed.
    pub(crate) compression: Option<Compression>,
    /// What is linked into `/`.
    pub(crate) root: Option<Vec<Content>>,
    /// What happens when two packages of `root` hold the same file.
    pub(crate) root_conflicts: Option<Conflicts>,
    /// Small files by value. Invariant: each is a `RootNode::File`, each path once.
    pub(crate) files: Option<Vec<RootEntry>>,
    /// Environment variables without which `floe run` refuses.
    pub(crate) required_env: Option<Vec<String>>,
    /// What the image runs on.
    pub(crate) platform: Option<Platform>,
    /// The systems that there is to be an image for.
    pub(crate) systems: Option<Vec<System>>,
}

impl ImageOptions {
    /// Joins two sets of options: what `self` says wins over `base`.
    ///
    /// `env`, `labels` and `annotations` are joined key by key; every other value, lists too, is taken whole.
    pub(crate) fn over(self, base: Self) -> Self {
        Self {
            name: self.name.or(base.name),
            tag: self.tag.or(base.tag),
            base: self.base.or(base.base),
            base_without: self.base_without.or(base.base_without),
            contents: self.contents.or(base.contents),
            entrypoint: self.entrypoint.or(base.entrypoint),
            cmd: self.cmd.or(base.cmd),
            env: joined(self.env, base.env),
            user: self.user.or(base.user),
            workdir: self.workdir.or(base.workdir),
            ports: self.ports.or(base.ports),
            volumes: self.volumes.or(base.volumes),
            labels: joined(self.labels, base.labels),
            annotations: joined(self.annotations, base.annotations),
            stop_signal: self.stop_signal.or(base.stop_signal),
            healthcheck: self.healthcheck.or(base.healthcheck),
            created: self.created.or(base.created),
            max_layers: self.max_layers.or(base.max_layers),
            layering: self.layering.or(base.layering),
            frequencies: self.frequencies.or(base.frequencies),
            compression: self.compression.or(base.compression),
            root: self.root.or(base.root),
            root_conflicts: self.root_conflicts.or(base.root_conflicts),
            files: self.files.or(base.files),
            required_env: self.required_env.or(base.required_env),
            platform: self.platform.or(base.platform),
            systems: self.systems.or(base.systems),
        }
    }

    /// The same options with relative contents and files placed in `directory`.
    pub(crate) fn within(self, directory: &Path) -> Self {
        let place = |contents: Vec<Content>| -> Vec<Content> {
            contents.into_iter().map(|content| content.within(directory)).collect()
        };
        Self {
            base: self.base.map(|base| base.within(directory)),
            contents: self.contents.map(place),
            root: self.root.map(place),
            frequencies: self.frequencies.map(|file| directory.join(file)),
            ..self
        }
    }
}

fn joined(winner: BTreeMap<String, String>, mut base: BTreeMap<String, String>) -> BTreeMap<String, String> {
    base.extend(winner);
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_tables_by_key_and_takes_lists_whole() {
        let table = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let base = ImageOptions {
            name: Some("base".to_owned()),
            cmd: Some(vec!["a".to_owned(), "b".to_owned()]),
            volumes: Some(vec!["/data".to_owned()]),
            env: table(&[("A", "1"), ("B", "1")]),
            ..ImageOptions::default()
        };
        let winner = ImageOptions {
            cmd: Some(vec!["c".to_owned()]),
            volumes: Some(Vec::new()),
            env: table(&[("B", "2"), ("C", "2")]),
            ..ImageOptions::default()
        };
        let expected = ImageOptions {
            name: Some("base".to_owned()),
            cmd: Some(vec!["c".to_owned()]),
            volumes: Some(Vec::new()),
            env: table(&[("A", "1"), ("B", "2"), ("C", "2")]),
            ..ImageOptions::default()
        };
        assert_eq!(winner.over(base), expected);
    }
}
