//! A volume in containers: the init step that seeds it, the main container that finds it seeded.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use floe_store::write::registration;
use floe_store::{PathInfo, StoreDir, StorePath, nar};

use crate::container::{Container, Ended};

/// A store path's name in these tests.
const HASH: &str = "0c0jcwbfj7rzfn3wz9wpp5wmgc9wd2g5";

/// Gives a container's image a store of one path, a program, with its registration.
fn with_store(container: &Container, name: &str) -> StorePath {
    let path: StorePath = format!("{HASH}-{name}").parse().expect("a well-formed path");
    let place = container.root().join("nix/store").join(path.as_str());
    fs::create_dir_all(place.join("bin")).expect("a folder");
    fs::copy(container.root().join("bin/busybox"), place.join("bin/busybox")).expect("a program");
    let (nar_hash, nar_size) = nar::hash_location(&place).expect("a tree");
    let info = PathInfo {
        path: path.clone(),
        nar_hash,
        nar_size,
        references: Default::default(),
        deriver: None,
        content_address: None,
    };
    container.write("floe/registration", registration::text(&StoreDir::default(), [&info]));
    path
}

/// An empty volume that belongs to a user.
fn empty(uid: u32, gid: u32) -> tempfile::TempDir {
    let volume = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o775)).expect("a mode");
    chown(volume.path(), Some(uid), Some(gid)).expect("root");
    volume
}

/// An option that mounts a directory.
fn mount(from: &Path, to: &str) -> String {
    format!("--volume={}:{to}", from.display())
}

#[test]
fn an_init_step_seeds_and_the_main_container_runs() {
    let container = Container::new();
    let path = with_store(&container, "tools");
    for (uid, gid, user) in [(1001, 1001, "code"), (4242, 0, "4242")] {
        let volume = empty(uid, gid);
        let user_option = format!("--user={uid}:{gid}");
        let seed = mount(volume.path(), "/seed");
        let home = format!("--env=HOME=/home/{user}");
        let name = format!("--env=USER={user}");
        let Ended { code, stderr, .. } = container.run(&[&user_option, &name, &seed], &["seed"]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.contains("seeded /seed/nix with 1 store paths"), "{stderr}");

        let nix = mount(&volume.path().join("nix"), "/nix");
        let home_mount = mount(&volume.path().join("home").join(user), &format!("/home/{user}"));
        let program = format!("/nix/store/{path}/bin/busybox");
        let script = "read -r l < /proc/1/comm; echo $l; busybox readlink ~/.nix-profile; echo kept > ~/file";
        let options = [user_option.as_str(), name.as_str(), home.as_str(), nix.as_str(), home_mount.as_str()];
        let Ended { code, stdout, stderr } = container.run(&options, &["--", &program, "sh", "-c", script]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        assert_eq!(stdout, format!("init\n/nix/var/nix/profiles/per-user/{user}/profile\n"));
        assert_eq!(
            fs::read_to_string(volume.path().join(format!("home/{user}/file"))).expect("a file"),
            "kept\n"
        );
    }
}

#[test]
fn refuses_a_mount_that_nobody_seeded() {
    let container = Container::new();
    with_store(&container, "tools");
    let volume = empty(1001, 1001);
    let nix = mount(volume.path(), "/nix");
    let run = |options: &[&str]| container.script(options, "echo it ran");
    let Ended { code, stdout, stderr } = run(&[&nix]);
    assert_eq!((code, stdout.as_str()), (Some(78), ""), "{stderr}");
    assert!(stderr.contains("/nix is a mount that was not seeded from this image"), "{stderr}");
    assert!(stderr.contains("hint: run 'floe-init seed' of the same image in an init step"), "{stderr}");

    // Seeded from another image: this one's programs are not there either.
    let seed = mount(volume.path(), "/seed");
    assert_eq!(container.run(&[&seed], &["seed"]).code, Some(0));
    let nix = mount(&volume.path().join("nix"), "/nix");
    assert_eq!(run(&[&nix]).stdout, "it ran\n");
    let other = Container::new();
    with_store(&other, "other-tools");
    let Ended { code, stderr, .. } = other.script(&[&nix], "echo it ran");
    assert_eq!(code, Some(78), "{stderr}");

    // An image without a registration seeds nothing, and what is mounted is its user's business.
    fs::remove_file(container.root().join("floe/registration")).expect("a file");
    let volume = empty(1001, 1001);
    assert_eq!(run(&[&mount(volume.path(), "/nix")]).stdout, "it ran\n");
}

#[test]
fn seeds_what_is_mounted_from_an_image_volume() {
    let container = Container::new();
    let path = with_store(&container, "tools");
    let volume = empty(1001, 1001);
    fs::create_dir(volume.path().join("nix")).expect("a folder");
    chown(volume.path().join("nix"), Some(1001), Some(1001)).expect("root");
    fs::create_dir(container.root().join("image")).expect("a folder");
    let nix = mount(&volume.path().join("nix"), "/nix");
    let image = format!("{}:ro", mount(container.root(), "/image"));
    let program = format!("/nix/store/{path}/bin/busybox");
    let options = [nix.as_str(), image.as_str(), "--env=FLOE_SEED_FROM=/image", "--env=USER=code"];
    for expected in ["with 1 store paths", "with 0 store paths"] {
        let Ended { code, stdout, stderr } = container.run(&options, &["--", &program, "echo", "it ran"]);
        assert_eq!((code, stdout.as_str()), (Some(0), "it ran\n"), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn activates_a_profile_once() {
    let container = Container::new();
    // Stands in for Nix: what matters here is when it is called, and that a failure is taken back.
    let nix_env = "#!/bin/sh\necho \"nix-env $*\" >&2\nwhile [ $# -gt 1 ]; do case $1 in --profile) p=$2;; \
                   --set) s=$2;; esac; shift; done\nbusybox ln -sfn \"$s\" \"$p\"\n";
    container.write("bin/nix-env", nix_env);
    fs::set_permissions(container.root().join("bin/nix-env"), fs::Permissions::from_mode(0o755))
        .expect("a mode");
    let generation = |name: &str, script: &str| {
        let folder = container.root().join("nix/store").join(name);
        fs::create_dir_all(folder.join("bin")).expect("a folder");
        container.write(&format!("nix/store/{name}/activate"), script);
        fs::set_permissions(folder.join("activate"), fs::Permissions::from_mode(0o755)).expect("a mode");
        container.write(&format!("nix/store/{name}/bin/tool"), "#!/bin/sh\nexec \"$@\"\n");
        fs::set_permissions(folder.join("bin/tool"), fs::Permissions::from_mode(0o755)).expect("a mode");
        format!("--env=FLOE_ACTIVATE=/nix/store/{name}")
    };
    let first = generation("first", "#!/bin/sh\necho activating first\n");
    let broken = generation("broken", "#!/bin/sh\necho no >&2; exit 9\n");
    let state = empty(1001, 1001);
    let profiles = mount(state.path(), "/nix/var/nix/profiles/per-user/code");
    fs::create_dir_all(container.root().join("nix/var/nix/profiles/per-user/code")).expect("a folder");
    let run = |activate: &str| {
        container.run(
            &[&profiles, "--env=USER=code", "--env=HOME=/home", activate],
            &["--", "tool", "echo", "it ran"],
        )
    };

    let Ended { code, stdout, stderr } = run(&first);
    assert_eq!((code, stdout.as_str()), (Some(0), "it ran\n"), "{stderr}");
    assert!(stderr.contains("activating first") && stderr.contains("activated /nix/store/first"), "{stderr}");
    let Ended { code, stderr, .. } = run(&first);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("/nix/store/first is active") && !stderr.contains("activating"), "{stderr}");

    let Ended { code, stdout, stderr } = run(&broken);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("/nix/store/broken/activate failed with exit status: 9"), "{stderr}");
    assert!(stderr.contains("hint: /nix/store/first is active again"), "{stderr}");
    assert_eq!(run(&first).code, Some(0));
}
