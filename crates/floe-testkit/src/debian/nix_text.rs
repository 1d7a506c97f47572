//! The files of the flake that stand beside the generated list of packages.

/// Each file's name and text, as they are in `nix/`.
pub(super) const FILES: [(&str, &str); 10] = [
    ("flake.nix", include_str!("nix/flake.nix")),
    ("default.nix", include_str!("nix/default.nix")),
    ("lib.nix", include_str!("nix/lib.nix")),
    ("builders.nix", include_str!("nix/builders.nix")),
    ("setup.sh", include_str!("nix/setup.sh")),
    ("build-package.sh", include_str!("nix/build-package.sh")),
    ("relocate-strings.pl", include_str!("nix/relocate-strings.pl")),
    ("node.nix", include_str!("nix/node.nix")),
    ("node.json", NODE_PINS),
    ("attributes.json", include_str!("nix/attributes.json")),
];

/// The archives of Node 22 and npm: versions and digests, for Nix and for who fetches them.
pub(super) const NODE_PINS: &str = include_str!("nix/node.json");
