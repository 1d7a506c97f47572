//! floe's flake, as its users have it: real Nix evaluates and builds, floe is the builder, real engines take what comes out.
//!
//! Needs Debian 12 as root, with Nix, podman, docker, containerd, skopeo and a Rust compiler; an absent program is a failure
//! that names its package. Nothing is fetched: the inputs are this checkout's flake with a static floe in it, and the package
//! set of the test kit for nixpkgs.

mod floe_flake;
mod project;

mod drop_in;
mod image;
mod migrating;
mod mistakes;
mod outputs;
mod recipe;
mod systems;
mod versions;

mod browser;
mod identity_provider;
mod tanstack;
mod tanstack_engines;
