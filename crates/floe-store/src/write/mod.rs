//! What Nix knows about a store, written: its database, and the registration that `nix-store --load-db` reads.
//!
//! Path infos come in, in any order; bytes go out that depend on them alone, so that an image which carries Nix
//! is the same on every machine. The same writer registers paths in a store that is in use.

pub mod registration;

pub mod database;
mod schema;
