//! Engines: which are installed, whether they answer, and whether they can keep images.

use std::path::{Path, PathBuf};

use floe_destination::engine::{self, EngineError, EngineKind};

use super::{Finding, State};
use crate::failure::Failure;

const AREA: &str = "engines";

/// Looks at every engine.
pub(super) fn examine() -> Vec<Finding> {
    let mut findings: Vec<Finding> = EngineKind::ALL.into_iter().flat_map(one).collect();
    if findings.iter().all(|finding| finding.state != State::Ok) {
        let fix = "install one, such as Debian's package podman; files and registries need none";
        findings.push(Finding::warning(AREA, "no engine can run images on this machine", fix));
    }
    findings
}

fn one(kind: EngineKind) -> Vec<Finding> {
    let version = match engine::version(kind) {
        Ok(version) => version,
        // Nobody needs all three.
        Err(EngineError::Absent { .. }) => return Vec::new(),
        Err(error) => return vec![unwell(kind, error)],
    };
    let place = match engine::storage(kind) {
        Ok(place) => place,
        Err(error) => return vec![unwell(kind, error)],
    };
    let place = place.map_or_else(String::new, |place| format!(", keeps images in {}", place.display()));
    let mut findings = vec![Finding::ok(AREA, format!("{kind} {version} answers{place}"))];
    if kind == EngineKind::Podman {
        findings.extend(short_names());
    }
    findings
}

fn unwell(kind: EngineKind, error: EngineError) -> Finding {
    let said = Failure::from(error).line();
    let is_denied = said.to_lowercase().contains("permission denied");
    let fix = match kind {
        EngineKind::Docker if is_denied => {
            "let this user talk to the daemon, which makes it as mighty as root: sudo usermod -aG docker $USER, \
             then log in again; or use podman, which needs no daemon"
        }
        EngineKind::Docker => "start the daemon: sudo systemctl start docker; or name another: DOCKER_HOST",
        EngineKind::Containerd if is_denied => "run floe as root for containerd, or use podman",
        EngineKind::Containerd => "start the daemon: sudo systemctl start containerd",
        EngineKind::Podman => {
            "without root podman needs ranges in /etc/subuid and /etc/subgid (sudo usermod --add-subuids \
             100000-165535 --add-subgids 100000-165535 $USER) and a writable home: `podman info` says more"
        }
    };
    Finding::warning(AREA, format!("{kind} is installed and does not work: {said}"), fix)
}

/// podman asks a registry for a short name such as `nginx` only where registries.conf says which.
fn short_names() -> Option<Finding> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let places = [
        std::env::var_os("CONTAINERS_REGISTRIES_CONF").map(PathBuf::from),
        home.map(|home| home.join(".config/containers/registries.conf")),
        Some("/etc/containers/registries.conf".into()),
    ];
    let file = places.into_iter().flatten().find(|file| file.exists());
    let says = |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| line.trim_start().starts_with("unqualified-search-registries"))
    };
    // What cannot be read podman itself complains about.
    if file.is_some_and(|file| says(&file)) {
        return None;
    }
    Some(Finding::ok(
        AREA,
        "podman pulls full names alone, such as docker.io/library/nginx: no registries.conf lists where to search",
    ))
}
