//! Closures, read from where Nix keeps or writes them.
//!
//! Each source is its own module and its own parser; [`crate::Store::closure`] tries the database, then
//! `nix path-info`, then the daemon. What a builder is given (structured attributes, `closureInfo`'s
//! registration) needs no store at all.

pub mod daemon;
mod daemon_wire;
pub mod database;
pub mod path_info_json;
pub mod registration;
pub mod structured_attrs;
