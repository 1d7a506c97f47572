//! Settings that differ: how a container is started, and the files that stand outside the store.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::image::{FACT_ANNOTATION_PREFIX, Image};
use crate::layer::root_tree::{RootEntry, RootNode};
use crate::layer::{Compression, LayerContents};
use crate::oci::Digest;

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SettingChange {
    /// Which one: `entrypoint`, `env PORT`, `file /etc/motd`.
    pub name: String,
    /// What the first image says; `None` when it says nothing.
    pub before: Option<String>,
    /// What the second image says; `None` when it says nothing.
    pub after: Option<String>,
}

/// The settings that differ, sorted by name.
pub(super) fn changes(before: &Image, after: &Image) -> Vec<SettingChange> {
    let (before, after) = (settings(before), settings(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differing
        .map(|name| SettingChange {
            name: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}

/// Everything that an image says outside its store paths, by name.
fn settings(image: &Image) -> BTreeMap<String, String> {
    let config = &image.config;
    let execution = &config.config;
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: String, value: String| drop(settings.insert(name, value));
    set("platform".to_owned(), config.platform().to_string());
    set("compression".to_owned(), compression(image.compression));
    let words = |words: &[String]| Value::from(words).to_string();
    let optional = [
        ("created", config.created.clone()),
        ("user", execution.user.clone()),
        ("entrypoint", execution.entrypoint.as_deref().map(words)),
        ("cmd", execution.cmd.as_deref().map(words)),
        ("workdir", execution.working_dir.clone()),
        ("stop-signal", execution.stop_signal.clone()),
        ("healthcheck", execution.healthcheck.as_ref().and_then(|check| serde_json::to_string(check).ok())),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            set(name.to_owned(), value);
        }
    }
    for variable in &execution.env {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        set(format!("env {name}"), value.to_owned());
    }
    for port in execution.exposed_ports.keys() {
        set(format!("port {port}"), "exposed".to_owned());
    }
    for volume in execution.volumes.keys() {
        set(format!("volume {volume}"), "declared".to_owned());
    }
    for (name, value) in &execution.labels {
        set(format!("label {name}"), value.clone());
    }
    // What floe notes down for its next build follows from the rest.
    let asked = image.annotations.iter().filter(|(name, _)| !name.starts_with(FACT_ANNOTATION_PREFIX));
    for (name, value) in asked {
        set(format!("annotation {name}"), value.clone());
    }
    for (number, base) in image.base.iter().enumerate() {
        set(format!("base layer {}", number + 1), base.layer.descriptor.digest.to_string());
    }
    for layer in &image.layers {
        let files = match &layer.contents {
            LayerContents::StorePaths { .. } => continue,
            LayerContents::Root(tree) => {
                for package in &tree.packages {
                    set(format!("root {}", package.path.package().name), package.path.name().to_owned());
                }
                &tree.literals
            }
            LayerContents::Entries { entries } => entries,
        };
        for entry in files {
            set(format!("file /{}", entry.path), described(entry));
        }
    }
    settings
}

fn compression(compression: Compression) -> String {
    match compression {
        Compression::Zstd(level) => format!("zstd {level}"),
        Compression::Gzip(level) => format!("gzip {level}"),
        Compression::None => "none".to_owned(),
    }
}

/// A file in a few words that differ when the file does.
fn described(entry: &RootEntry) -> String {
    let what = match &entry.node {
        RootNode::Directory => "a directory".to_owned(),
        RootNode::File(bytes) => format!("{} bytes, {}", bytes.len(), Digest::of(bytes).short()),
        RootNode::Symlink(target) => format!("-> {target}"),
    };
    format!("{what}, {:04o} {}:{}", entry.mode, entry.owner.uid, entry.owner.gid)
}
