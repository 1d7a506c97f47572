//! Real Nix in a container, on a volume that floe-init seeded: what a person does with it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::process::Command;

use floe_store::write::registration;
use floe_store::{Store, StoreConfig, StorePath};
use floe_testkit::debian::nix_closure;
use floe_testkit::machine::run;

use crate::container::{Container, Ended};

/// What single-user Nix in a container without any capability is told.
const CONFIGURATION: &str = "--env=NIX_CONFIG=sandbox = false\nbuild-users-group =\nsubstituters =\n\
    experimental-features = nix-command flakes\nfilter-syscalls = false\n";

/// Each must succeed, in this order, in one container after the other on the same volume.
const STEPS: &[&str] = &[
    "nix --version && nix-store --verify --check-contents",
    "nix-build --no-out-link --expr 'derivation { name = \"built\"; system = \"x86_64-linux\"; \
     builder = \"'$BASH'\"; args = [ \"-c\" \"echo built > $out\" ]; }'",
    "nix-env --install $COREUTILS && readlink ~/.nix-profile && ~/.nix-profile/bin/true",
    "nix-env --install ${BASH%/bin/bash} && ~/.nix-profile/bin/bash -c true && nix-env --rollback && \
     ! test -e ~/.nix-profile/bin/bash",
    "/floe/init activate $COREUTILS && /floe/init activate $COREUTILS 2>&1 | grep 'is active'",
    "/nix/var/nix/profiles/per-user/code/activated/bin/true",
    "nix-collect-garbage && nix-store --verify --check-contents && ~/.nix-profile/bin/true",
];

#[test]
fn works_on_a_seeded_volume() {
    let container = Container::new();
    let closure = nix_closure().expect("a closure of Nix");
    let store = Store::new(StoreConfig::default());
    let roots: Vec<StorePath> =
        closure.roots.iter().map(|root| store.resolve(root).expect("a store path")).collect();
    let paths = store.closure(&roots).expect("a closure");
    let image_store = container.root().join("nix/store");
    fs::create_dir_all(&image_store).expect("a folder");
    let locations = paths.paths().map(|info| store.store_dir().full_path(&info.path));
    run(Command::new("cp").arg("-a").args(locations).arg(&image_store)).expect("copies");
    container.write("floe/registration", registration::text(store.store_dir(), paths.paths()));
    let nix = closure.root("nix-bin").expect("Nix").display().to_string();
    fs::create_dir_all(container.root().join("nix/var/nix/profiles")).expect("a folder");
    symlink(&nix, container.root().join("nix/var/nix/profiles/default")).expect("a link");
    fs::create_dir(container.root().join("tmp")).expect("a folder");

    let volume = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    chown(volume.path(), Some(1001), Some(1001)).expect("root");
    let mount = |from: &str, to: &str| format!("--volume={}:{to}", volume.path().join(from).display());
    let Ended { code, stderr, .. } = container.run(&["--env=USER=code", &mount("", "/seed")], &["seed"]);
    assert_eq!(code, Some(0), "{stderr}");

    // The root is read-only, and builds need a place.
    let temporary = tempfile::tempdir().expect("a temporary folder");
    chown(temporary.path(), Some(1001), Some(1001)).expect("root");

    let root = |name: &str| closure.root(name).expect(name).display().to_string();
    let bash = format!("{}/bin/bash", root("bash"));
    let coreutils = root("coreutils");
    let path = format!("--env=PATH=/nix/var/nix/profiles/default/bin:{coreutils}/bin:/bin");
    let variables = [format!("--env=BASH={bash}"), format!("--env=COREUTILS={coreutils}")];
    // Debian's Nix looks for its helpers where Debian puts them.
    let helpers = format!("--env=NIX_LIBEXEC_DIR={nix}/libexec");
    let options = [
        path.as_str(),
        helpers.as_str(),
        "--env=USER=code",
        "--env=HOME=/home/code",
        CONFIGURATION,
        &variables[0],
        &variables[1],
        &format!("--volume={}:/tmp", temporary.path().display()),
        &mount("nix", "/nix"),
        &mount("home/code", "/home/code"),
    ];
    for step in STEPS {
        let Ended { code, stdout, stderr } = container.run(&options, &["--", "/bin/sh", "-c", step]);
        assert_eq!(code, Some(0), "{step}\n{stdout}\n{stderr}");
    }
}
