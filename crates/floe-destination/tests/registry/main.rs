//! floe's registry client against real registries, an in-process one, and servers that misbehave.
//!
//! Needs Debian's `docker-registry`, `openssl` and `skopeo` for `distribution`, `podman` and `docker` too for `logins`.

mod credentials;
mod distribution;
mod endpoints;
mod faults;
mod faulty_network;
mod image;
mod kept_logins;
mod logins;
mod push;
mod resume;
mod security;
