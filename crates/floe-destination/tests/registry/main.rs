//! floe's registry client against real registries, an in-process one, and servers that misbehave.
//!
//! Needs Debian's `docker-registry` and `openssl` for the tests in `distribution`, `podman` for those in `logins`.

mod endpoints;
mod image;
mod push;
