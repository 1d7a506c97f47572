//! The static `floe-init` as the entrypoint of real containers, hardened as on a careful cluster.

mod container;

mod environment;
mod first_process;
mod volume;
mod waiting;
