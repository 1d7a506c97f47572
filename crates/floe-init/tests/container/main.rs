//! The static `floe-init` as the entrypoint of real containers, hardened as on a careful cluster.

mod container;

mod environment;
mod first_process;
mod nix;
mod volume;
mod waiting;
