//! floe turns Nix closures into OCI images.

#![forbid(unsafe_code)]

mod configuration;

fn main() {}
