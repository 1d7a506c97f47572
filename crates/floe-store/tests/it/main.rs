//! floe-store against a real Nix: Debian's `nix-bin`, in stores of its own below a temporary folder.

mod added;
mod daemon;
mod database;
mod gc_root;
mod installable;
mod sources;
mod stage;
mod system;
mod write_database;
