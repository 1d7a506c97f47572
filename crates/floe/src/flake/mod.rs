//! What `nix/lib` and floe say to each other: recipes that a derivation writes, and the programs of an image's attributes.

pub(crate) mod recipe_file;

pub(crate) mod made_image;
pub(crate) mod permissions;

pub(crate) mod application;
