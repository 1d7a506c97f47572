//! Another image on a volume that is in use.

use std::fs;

use crate::image::{Contents, Image, names, path};
use crate::volume::Volume;

#[test]
fn keeps_both_images_and_what_the_user_installed() {
    let old = Image::new(&Contents { names: &names("a", 6), size: 10_000 });
    // Shares two paths with the old one.
    let new = Image::new(&Contents { names: &[names("a", 2), names("b", 6)].concat(), size: 10_000 });
    let volume = Volume::new();
    volume.seed(&old);

    let file = volume.root().join("of-the-user");
    fs::write(&file, "the user's own").expect("a file");
    let file = file.to_str().expect("UTF-8");
    let added = volume.nix_store_as(0, 0, &["--add", file]);
    let root = volume.nix().join("var/nix/gcroots/of-user");
    std::os::unix::fs::symlink(&added, root).expect("a link");

    let said = volume.seed(&new);
    assert!(said.contains("with 6 store paths") && said.contains("2 were there"), "{said}");
    let profile = volume.nix().join("var/nix/profiles/default");
    assert_eq!(fs::read_link(&profile).expect("a profile").to_str(), Some("default-2-link"));
    assert!(
        fs::read_link(profile.with_file_name("default-2-link"))
            .expect("a link")
            .ends_with(path("b-5").as_str())
    );

    volume.nix_store_as(0, 0, &["--gc"]);
    volume.check_seeded(&old, 0, 0);
    volume.check_seeded(&new, 0, 0);
    volume.nix_store_as(0, 0, &["--check-validity", &added]);
    assert_eq!(volume.check(), 13);

    // Back again: nothing is copied, and the profile is the old image's once more.
    let said = volume.seed(&old);
    assert!(said.contains("with 0 store paths"), "{said}");
    let generation = fs::read_link(&profile).expect("a profile");
    assert!(
        fs::read_link(profile.with_file_name(generation)).expect("a link").ends_with(path("a-5").as_str())
    );
}

#[test]
fn leaves_valid_paths_of_other_bytes_alone() {
    let image = Image::new(&Contents { names: &names("a", 3), size: 1_000 });
    // The same names with other bytes: a build that is not reproducible.
    let other = Image::new(&Contents { names: &names("a", 3), size: 2_000 });
    let volume = Volume::new();
    volume.seed(&image);
    let said = volume.seed(&other);
    assert!(said.contains("with 0 store paths"), "{said}");
    volume.check_seeded(&image, 0, 0);
    assert_eq!(volume.check(), 3);
}
