//! Nix: its program, its database, its daemon, its settings, its caches.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use floe_store::read::{daemon, database};
use floe_store::{RunNixError, Store, installation};

use super::Finding;
use crate::failure::Failure;

const AREA: &str = "nix";

/// The oldest version whose interfaces floe speaks.
const OLDEST: (u32, u32) = (2, 8);

/// What flakes and installables need switched on.
const FEATURES: [&str; 2] = ["flakes", "nix-command"];

/// How long a cache may take to answer the telephone.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks at a store and the program that keeps it.
pub(super) fn examine(store: &Store) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_installed = match installation::version(store) {
        Ok(version) => {
            findings.push(judge_version(&version));
            true
        }
        Err(error @ RunNixError::NotInstalled { .. }) => {
            let what = format!("{error}; plain directories work without it");
            findings.push(Finding::warning(AREA, what, "install Nix: https://nixos.org/download"));
            false
        }
        Err(error) => {
            findings.push(Finding::of_failure(AREA, &Failure::from(error)));
            false
        }
    };
    findings.extend(contents(store));
    if is_installed {
        findings.extend(settings(store));
    }
    findings
}

fn judge_version(version: &str) -> Finding {
    let mut numbers = version.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST => {
            let what = format!("Nix {version} is older than {}.{}", OLDEST.0, OLDEST.1);
            Finding::problem(AREA, what, "install a newer one: https://nixos.org/download")
        }
        _ => Finding::ok(AREA, format!("Nix {version}")),
    }
}

/// How closures can be read: from the database, else from the daemon.
fn contents(store: &Store) -> Vec<Finding> {
    let place = store.database();
    let read = database::closure(&place, store.store_dir(), &[]);
    let socket = store.daemon_socket();
    let asked = daemon::closure(&socket, store.store_dir(), &[]);
    let mut findings = Vec::new();
    match (read, &asked) {
        (Ok(read), _) if read.stale_risk.is_none() => {
            findings.push(Finding::ok(AREA, format!("the database {} can be read", place.display())));
        }
        (Ok(_), _) => findings.push(Finding::warning(
            AREA,
            format!("the database {} can be read, its log cannot: new paths may be missing", place.display()),
            format!("let this user write to {}, or start the daemon", parent(&place).display()),
        )),
        (Err(database::ReadDatabaseError::Missing { .. }), Err(_)) => {
            findings.push(Finding::warning(
                AREA,
                format!("there is no store: {} does not exist, and no daemon answers", place.display()),
                "build something with Nix, or name the store's root: --store DIR",
            ));
            return findings;
        }
        (Err(error), Ok(_)) => {
            let what = format!("{}; the daemon is asked instead, which is slower", Failure::from(error).line());
            findings.push(Finding::ok(AREA, what));
        }
        (Err(error), Err(_)) => findings.push(Finding::problem(
            AREA,
            Failure::from(error).line(),
            format!(
                "let this user read {} (sudo chmod a+rX), or start the daemon: sudo systemctl start nix-daemon",
                parent(&place).display()
            ),
        )),
    }
    match asked {
        Ok(_) => findings.push(Finding::ok(AREA, format!("the daemon answers at {}", socket.display()))),
        // Without a socket Nix is used by one user alone, who needs no daemon.
        Err(_) if !socket.exists() => {}
        Err(error) => findings.push(Finding::warning(
            AREA,
            Failure::from(error).line(),
            "start the daemon: sudo systemctl start nix-daemon; who may use it says allowed-users in nix.conf",
        )),
    }
    findings
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn settings(store: &Store) -> Vec<Finding> {
    let settings = match installation::settings(store) {
        Ok(settings) => settings,
        Err(error) => return vec![Finding::of_failure(AREA, &Failure::from(error)).lenient()],
    };
    let mut findings = Vec::new();
    let is_off = |feature: &&str| !settings.experimental_features.iter().any(|on| on == feature);
    let off: Vec<&str> = FEATURES.into_iter().filter(is_off).collect();
    findings.push(if off.is_empty() {
        Finding::ok(AREA, "flakes are switched on")
    } else {
        Finding::warning(
            AREA,
            format!(
                "experimental features are off: {}; floe asks for them itself, `nix build` does not",
                off.join(", ")
            ),
            format!("add to ~/.config/nix/nix.conf: experimental-features = {}", FEATURES.join(" ")),
        )
    });
    findings.extend(settings.substituters.iter().filter_map(|url| cache(url)));
    findings
}

/// Whether a binary cache can be reached; `None` for kinds that cannot be tried so simply.
fn cache(url: &str) -> Option<Finding> {
    let bare = url.split('?').next().unwrap_or(url);
    if let Some(folder) = bare.strip_prefix("file://") {
        if Path::new(folder).is_dir() {
            return Some(Finding::ok(AREA, format!("the cache {url} is there")));
        }
        let fix = "take it out of `substituters` in nix.conf, or mount it";
        return Some(Finding::warning(AREA, format!("the cache {url} is not there"), fix));
    }
    let (rest, port) = match (bare.strip_prefix("https://"), bare.strip_prefix("http://")) {
        (Some(rest), _) => (rest, 443),
        (None, Some(rest)) => (rest, 80),
        (None, None) => return None,
    };
    let host = rest.split('/').next().unwrap_or(rest);
    let named = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
    let connected = named.to_socket_addrs().and_then(|mut addresses| {
        let address = addresses.next().ok_or(std::io::ErrorKind::NotFound)?;
        TcpStream::connect_timeout(&address, PATIENCE)
    });
    Some(match connected {
        Ok(_) => Finding::ok(AREA, format!("the cache {url} answers")),
        Err(error) => Finding::warning(
            AREA,
            format!("the cache {url} does not answer: {error}"),
            "check the network (a proxy is not tried here), or take it out of `substituters` in nix.conf",
        ),
    })
}
