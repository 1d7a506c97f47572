//! `cargo xtask install`: puts on the machine what tests and the demo need, from Debian's packages.
//!
//! When everything is there it only asks dpkg, in milliseconds. Services that packages bring are not started:
//! tests start their own engines with their own storage. Nix is not configured: tests pass their settings in the
//! environment (`floe_testkit::machine::nix_command`), so a developer's `nix.conf` stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use floe_testkit::machine;
use floe_testkit::service::program::{self, DEBIAN_PACKAGES};

use crate::steps::stream;
use crate::terminal::say;

/// What is needed beside the programs that the test kit itself starts, and why.
const PACKAGES: &[&str] = &[
    // The package set of tests: Nix builds it, patchelf points programs at the store.
    "debian-archive-keyring",
    // A Debian to build upon.
    "debootstrap",
    "nix-bin",
    "patchelf",
    // Readers and writers of images that floe is compared with.
    "buildah",
    "umoci",
    "pigz",
    "zstd",
    // podman's own needs: its networks, `kube play`, storage and namespaces for users.
    "catatonit",
    "containernetworking-plugins",
    "fuse-overlayfs",
    "slirp4netns",
    "uidmap",
    // Opens the page of the example.
    "chromium",
    // What the guide's commands ask pages and documents with.
    "curl",
    "jq",
    // floe-init for aarch64: Rust 1.85, a compiler for C, and what judges the outcome.
    "binutils",
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
    "rustc-web",
    // Shows which files floe opens.
    "strace",
    "time",
];

/// Programs that also come from elsewhere than Debian's package, which that one would conflict with.
const FROM_ANYWHERE: &[(&str, &str)] = &[
    // Fetches Node 22, and what examples are built from.
    ("npm", "npm"),
];

/// Installs what is missing.
pub(crate) fn run() -> Result<()> {
    let missing = missing_packages()?;
    if missing.is_empty() {
        say("every package is installed");
    } else {
        install(&missing)?;
    }
    let peers = machine::install_peers()?;
    say(&format!("newer programs to compare with are in {}", peers.display()));
    Ok(())
}

/// The packages that dpkg does not have, sorted.
fn missing_packages() -> Result<Vec<&'static str>> {
    let mut wanted: BTreeSet<&str> = PACKAGES.iter().copied().collect();
    wanted.extend(DEBIAN_PACKAGES.iter().map(|(_, package)| *package));
    let absent = FROM_ANYWHERE.iter().filter(|(name, _)| program::find(name).is_err());
    wanted.extend(absent.map(|(_, package)| *package));
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"])
        .args(&wanted)
        .output();
    let output = output.with_context(|| {
        let list = Vec::from_iter(wanted.iter().copied()).join(" ");
        format!(
            "cannot start dpkg-query; on a system other than Debian, install what these packages hold: {list}"
        )
    })?;
    // dpkg-query fails when it does not know one of the names, and still answers for the others.
    let answer = String::from_utf8_lossy(&output.stdout);
    let states: BTreeMap<&str, &str> = answer.lines().filter_map(|line| line.split_once(' ')).collect();
    Ok(wanted.into_iter().filter(|package| states.get(package) != Some(&"installed")).collect())
}

fn install(missing: &[&str]) -> Result<()> {
    let command_line = format!("apt-get install --yes --no-install-recommends {}", missing.join(" "));
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root {
        bail!(
            "packages are missing; run this as root and then again `cargo xtask install`:\n\n  {command_line}\n"
        );
    }
    let _quiet = NoServices::start()?;
    if stream(&mut apt_get(&["install", "--yes", "--no-install-recommends"], missing)).is_ok() {
        return Ok(());
    }
    // The lists are absent or stale. A third party's source that cannot be reached fails the update as well, which
    // matters only when the packages cannot be installed after it.
    let update = stream(&mut apt_get(&["update"], &[]));
    let installed = stream(&mut apt_get(&["install", "--yes", "--no-install-recommends"], missing));
    match (installed, update) {
        (Err(error), Err(update)) => Err(error.context(update)),
        (installed, _) => installed,
    }
}

fn apt_get(arguments: &[&str], packages: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["--quiet", "-o", "DPkg::Lock::Timeout=600"])
        .args(arguments)
        .args(packages);
    command
}

/// Keeps packages from starting services while it lives, by the file that `invoke-rc.d` asks.
struct NoServices {
    written: bool,
}

impl NoServices {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn start() -> Result<Self> {
        if Path::new(Self::POLICY).exists() {
            return Ok(Self { written: false });
        }
        // 101: action forbidden by policy (invoke-rc.d(8)).
        fs::write(Self::POLICY, "#!/bin/sh\nexit 101\n")
            .and_then(|()| fs::set_permissions(Self::POLICY, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", Self::POLICY))?;
        Ok(Self { written: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.written && fs::remove_file(Self::POLICY).is_err() {
            say(&format!("{} stays behind: remove it to let services start", Self::POLICY));
        }
    }
}
