//! What is refused, with the exit code and the words for it, and nothing half-written.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::image::{Contents, Image, names};
use crate::volume::{Volume, fail, succeed};

/// Changes what is to be refused, and the command that meets it.
type Case = (&'static str, fn(&Volume, &Image, &mut Command), i32, &'static [&'static str]);

const CASES: &[Case] = &[
    (
        "another user's store",
        |volume, _, command| {
            fs::create_dir_all(volume.store()).expect("a folder");
            chown(volume.root(), Some(1001), None).expect("root");
            command.uid(1001).gid(1001);
        },
        78,
        &["/nix/store belongs to uid 0, and this is uid 1001", "hint: run as uid 0"],
    ),
    (
        "a root that may not be written",
        |_, _, command| {
            command.uid(1001).gid(1001);
        },
        78,
        &[
            "cannot make",
            "Permission denied",
            "hint: the volume's root must let uid 1001 make directories: fsGroup",
        ],
    ),
    (
        "no volume",
        |volume, _, command| {
            command.arg("--to").arg(volume.root().join("none"));
        },
        78,
        &["none is no directory: expected the volume to be mounted there", "hint: mount the volume"],
    ),
    (
        "no registration",
        |_, image, _| fs::remove_file(image.root().join("floe/registration")).expect("a file"),
        78,
        &["cannot read the image's registration", "hint: --from names the image's root"],
    ),
    (
        "a registration that is damaged",
        |_, image, _| fs::write(image.root().join("floe/registration"), "/etc/passwd\n").expect("a file"),
        78,
        &["cannot use the image's registration", "line 1 of the registration is no store path"],
    ),
    (
        "an image that is damaged",
        |_, image, _| {
            let file = image.location("a-1").join("share/part-1");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
            fs::write(&file, "damaged").expect("a file");
        },
        78,
        &["-a-1 is damaged: its NAR hash is sha256:", "is registered", "hint: pull or build the image again"],
    ),
    (
        "an image that lacks a path",
        |_, image, _| fs::remove_dir_all(image.location("a-1")).expect("a folder"),
        1,
        &["a-1", "No such file or directory"],
    ),
    (
        "another database mode",
        |volume, image, command| {
            volume.seed(image);
            command.args(["--database-mode", "truncate"]);
        },
        78,
        &["is used in mode wal, and this start asks for mode truncate", "hint: set FLOE_DATABASE_MODE=wal"],
    ),
    (
        "a database that Nix left in another mode",
        |volume, image, command| {
            volume.seed(image);
            fs::remove_file(volume.nix().join(".floe/database-mode")).expect("a file");
            command.env("FLOE_DATABASE_MODE", "truncate");
        },
        78,
        &["is used in mode wal"],
    ),
    (
        "a flag with another value",
        |_, _, command| {
            command.args(["--threads", "many"]);
        },
        2,
        &["--threads is 'many': expected a number from 1 to 64"],
    ),
    (
        "a variable with another value",
        |_, _, command| {
            command.env("FLOE_SEED_TIMEOUT", "soon");
        },
        2,
        &["FLOE_SEED_TIMEOUT is 'soon': expected a span such as 30s"],
    ),
    (
        "a name that leads elsewhere",
        |_, _, command| {
            command.args(["--user", "../code"]);
        },
        2,
        &["'../code' is no user name"],
    ),
    (
        "an argument",
        |_, _, command| {
            command.arg("everything");
        },
        2,
        &["seed takes no argument such as 'everything'"],
    ),
];

#[test]
fn says_what_is_wrong_and_what_to_do() {
    for (name, prepare, code, expected) in CASES {
        let image = Image::new(&Contents { names: &names("a", 3), size: 1_000 });
        let volume = Volume::new();
        let mut command = volume.seeder(&image);
        prepare(&volume, &image, &mut command);
        let before = volume.check();
        let (found, said) = fail(&mut command);
        assert_eq!(found, Some(*code), "{name}: {said}");
        for words in *expected {
            assert!(said.contains(words), "{name}: expected '{words}' in:\n{said}");
        }
        assert_eq!(volume.check(), before, "{name}");
        if let Ok(left) = fs::read_dir(volume.nix().join(".floe/tmp")) {
            assert_eq!(left.count(), 0, "{name}");
        }
    }
}

#[test]
fn seeds_where_locks_are_directories() {
    let image = Image::new(&Contents { names: &names("a", 3), size: 1_000 });
    let volume = Volume::new();
    for _ in 0..2 {
        succeed(volume.seeder(&image).env("FLOE_DATABASE_MODE", "truncate"));
    }
    let mut nix = floe_testkit::machine::nix_command("nix-store");
    nix.arg("--store").arg(volume.root()).args(["--option", "use-sqlite-wal", "false"]);
    succeed(nix.args(["--verify", "--check-contents"]));
}
