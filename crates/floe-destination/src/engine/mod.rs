//! Container engines of this machine: images are loaded into them and run by them, through their own programs.
//!
//! Each engine's file says how it is spoken to, as argument lists, and nothing more: [`destination`] loads with them and
//! [`mod@run`] runs. The programs see floe's environment, so `DOCKER_HOST`, `CONTAINER_HOST` or `CONTAINERD_ADDRESS` work.

mod kind;
mod probe;

mod complaint;
mod destination;
mod run;
mod source;

mod containerd;
mod docker;
mod podman;

pub use destination::EngineDestination;
pub use kind::{EngineError, EngineKind};
pub use probe::{detect, reads_zstd, storage, version};
pub use run::{RunRequest, Volume, run, run_arguments};

pub(crate) use source::save;
