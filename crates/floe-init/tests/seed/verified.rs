//! `--verify` and `--repair`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::image::{Contents, Image, names, path};
use crate::volume::{Volume, fail, succeed};

/// Changes a file of the volume, as a failing disk would.
fn damage(volume: &Volume, name: &str) {
    let file = volume.store().join(path(name).as_str()).join("share/part-1");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
    fs::write(&file, "damaged").expect("a file");
}

#[test]
fn finds_and_mends_what_the_image_has() {
    let image = Image::new(&Contents { names: &names("a", 5), size: 10_000 });
    let volume = Volume::new();
    volume.seed(&image);
    let said = succeed(volume.seeder(&image).arg("--verify"));
    assert!(said.contains("is sound"), "{said}");

    damage(&volume, "a-1");
    fs::remove_dir_all(volume.store().join(path("a-2").as_str())).expect("a folder");
    let (code, said) = fail(volume.seeder(&image).arg("--verify"));
    assert_eq!(code, Some(1));
    for words in ["-a-1 has the NAR hash sha256:", "-a-2 is missing", "2 store paths of", "hint: --repair"] {
        assert!(said.contains(words), "{said}");
    }
    let said = succeed(volume.seeder(&image).arg("--repair"));
    assert!(said.contains("-a-1 has") && said.contains("-a-2 is missing; repaired"), "{said}");
    succeed(volume.seeder(&image).arg("--verify"));
    volume.check_seeded(&image, 0, 0);
}

#[test]
fn tells_what_only_others_can_mend() {
    let old = Image::new(&Contents { names: &names("b", 2), size: 10_000 });
    let image = Image::new(&Contents { names: &names("a", 2), size: 10_000 });
    let volume = Volume::new();
    volume.seed(&old);
    volume.seed(&image);
    damage(&volume, "b-1");
    damage(&volume, "a-1");
    let (code, said) = fail(volume.seeder(&image).arg("--repair"));
    assert_eq!(code, Some(1));
    assert!(said.contains("1 store paths of") && said.contains("nix-store --repair-path"), "{said}");
    succeed(volume.seeder(&old).arg("--repair"));
    volume.check_seeded(&old, 0, 0);
}
