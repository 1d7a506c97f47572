//! The files of the flake that stand beside the generated list of packages.

/// Each file's name and text, as they are in `nix/`.
pub(super) const FILES: [(&str, &str); 8] = [
    ("flake.nix", include_str!("nix/flake.nix")),
    ("default.nix", include_str!("nix/default.nix")),
    ("lib.nix", include_str!("nix/lib.nix")),
    ("builders.nix", include_str!("nix/builders.nix")),
    ("setup.sh", include_str!("nix/setup.sh")),
    ("build-package.sh", include_str!("nix/build-package.sh")),
    ("relocate-strings.pl", include_str!("nix/relocate-strings.pl")),
    ("attributes.json", include_str!("nix/attributes.json")),
];
