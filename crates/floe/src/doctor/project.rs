//! The project: what its `floe.toml` names, and what its images need when they run.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use floe_store::{ResolveError, Store};

use super::Finding;
use crate::configuration::value::Protocol;
use crate::configuration::{ConfigurationFile, Content, ImageOptions};
use crate::environment;
use crate::gather;

const AREA: &str = "project";

/// Where people keep the variables of a project.
const ENV_FILES: [&str; 2] = [".env", environment::ENV_FILE];

/// Looks at every image of the file.
pub(super) fn examine(file: Option<&ConfigurationFile>, store: &Store) -> Vec<Finding> {
    let Some(file) = file else {
        return vec![Finding::ok(
            AREA,
            "there is no floe.toml here or in a parent directory: `floe new` writes one",
        )];
    };
    let names: Vec<&str> = file.configuration.names().collect();
    let path = file.path.display();
    let mut findings = vec![match names.len() {
        0 => Finding::problem(
            AREA,
            format!("{path} has no image"),
            "begin one with [image.app], or run `floe new`",
        ),
        _ => Finding::ok(AREA, format!("{path} is well-formed: {}", names.join(", "))),
    }];
    for name in names {
        if let Some(options) = file.image(name) {
            findings.extend(contents(name, &options, store));
            findings.extend(variables(name, &options));
            findings.extend(ports(name, &options));
        }
    }
    findings
}

/// Contents that are paths must be there; installables are built when they are needed.
fn contents(name: &str, options: &ImageOptions, store: &Store) -> Vec<Finding> {
    let all = options.contents.iter().chain(&options.root).flatten();
    let paths = all.filter_map(|content| match content {
        Content::Path(path) => Some(path),
        Content::Installable(_) => None,
    });
    let failures = paths.filter_map(|path| match store.resolve(path) {
        Ok(_) | Err(ResolveError::NotInStore { .. }) => None,
        Err(error) => Some(gather::explain_resolve(error)),
    });
    failures
        .map(|failure| {
            let mut finding = Finding::of_failure(AREA, &failure);
            finding.what = format!("image {name}: {}", finding.what);
            finding.fixes.insert(0, "where it is the link of a build: run nix build first".to_owned());
            finding
        })
        .collect()
}

/// Variables that the image requires, and that neither the image, the environment nor a file here sets.
fn variables(name: &str, options: &ImageOptions) -> Option<Finding> {
    let mut set: BTreeSet<String> = options.env.keys().cloned().collect();
    let files: Vec<&str> = ENV_FILES.into_iter().filter(|file| Path::new(file).is_file()).collect();
    for file in &files {
        // One that cannot be read sets nothing.
        set.extend(environment::names(&std::fs::read_to_string(file).unwrap_or_default()));
    }
    let required = options.required_env.iter().flatten();
    let missing: Vec<&str> = required
        .filter(|variable| !set.contains(*variable) && std::env::var_os(variable).is_none())
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return None;
    }
    let what = format!("image {name}: variables that it requires are not set: {}", missing.join(", "));
    let fix = format!("write each as NAME=VALUE into .env, and run it with: floe run {name} --env-file .env");
    Some(Finding::warning(AREA, what, fix))
}

/// Ports of this machine under which `floe run` would publish the image's own.
fn ports(name: &str, options: &ImageOptions) -> Vec<Finding> {
    let ports = options.ports.iter().flatten().filter(|port| port.protocol == Protocol::Tcp);
    let taken = ports.filter_map(|port| match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port.number)) {
        Ok(_) => None,
        Err(error) => Some((port.number, error)),
    });
    taken
        .map(|(port, error)| {
            let other = if port < 1024 { u32::from(port) + 8000 } else { u32::from(port) + 1 };
            let what = match error.kind() {
                io::ErrorKind::AddrInUse => format!("image {name}: port {port} of this machine is in use"),
                _ => format!("image {name}: port {port} of this machine cannot be opened: {error}"),
            };
            let fix = format!(
                "publish another: floe run {name} --publish {other}:{port}; who has it says: ss -ltnp 'sport = {port}'"
            );
            Finding::warning(AREA, what, fix)
        })
        .collect()
}
