//! Seeding: the store paths of an image, copied to a volume that is then mounted at `/nix`, and registered there.
//!
//! An empty volume hides the image's `/nix`, so an init step mounts it elsewhere and fills it. Each step of the order
//! in [`order`] is safe to repeat: a kill at any point leaves a volume where every path that the database calls valid
//! is whole, and the next start goes on.

mod command;
mod order;

mod copy;
mod image;
mod locks;
mod marker;
mod node;
mod profile;
mod room;
mod volume;
mod workers;

mod progress;
mod verify;

pub(crate) use command::{SETTINGS, SeedSettings, run, run_with};
pub(crate) use image::digest_of;
pub(crate) use marker::is_marked;
pub(crate) use volume::Volume;
