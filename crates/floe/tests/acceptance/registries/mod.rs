//! Registries as a user meets them: the real program beside podman, docker, skopeo, crane and oras, against distribution
//! 2.8 and the test kit's own registry.

mod commands;
pub(crate) mod home;
mod logins;
mod readers;
mod secrets;
mod ways;
