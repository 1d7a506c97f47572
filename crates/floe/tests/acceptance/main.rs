//! The main job, shown from outside: the real program makes images of real closures, and other people's programs
//! run, unpack, read and judge them.
//!
//! Needs Debian 12 as root, with Nix, podman, docker, containerd, skopeo, umoci, zstd and GNU tar; an absent program is
//! a failure that names its package.

mod bases;
mod closure;
mod copies;
mod engines;
mod forms;
mod garbage;
mod generations;
mod identity;
mod layout;
mod platforms;
mod program;
mod record_crashes;
mod registries;
mod reproducible;
mod root;
mod shared_images;
mod store;
mod templates;
mod updates;
