//! Real container engines, each with its own storage, socket and daemon.
//!
//! All of them run as root. What each needs on a machine with hybrid cgroups and without the right to raise resource
//! limits is written in its file. Comes in: an image archive, or whatever `floe` itself does with an engine when it
//! runs with [`Engine::environment`]. Goes out: images listed, programs run, pages fetched.

mod interface;

pub mod containerd;
pub mod docker;
pub mod podman;

pub use interface::{Container, Engine, EngineError, Run};
