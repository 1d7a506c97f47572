//! Nix, read: store paths, closures, NAR, and the file trees behind them.
//!
//! A closure comes in from the Nix database, from `nix path-info`, from the daemon, from a build's
//! structured attributes or from a plain directory, and goes out as a [`Closure`]: every path with
//! its NAR hash, NAR size and references. A [`TreeSource`] then yields the files of each path in NAR order.
//!
//! This crate knows nothing of containers: no layer, image or registry appears here.

#![forbid(unsafe_code)]

mod closure;
pub mod nar;
mod nar_hash;
pub mod nix32;
mod path_info;
mod store_dir;
mod store_path;
pub mod tree;

pub use closure::{Closure, ClosureError};
pub use nar_hash::{NarHash, ParseNarHashError};
pub use path_info::PathInfo;
pub use store_dir::{ParseStoreDirError, StoreDir};
pub use store_path::{PackageName, ParseStorePathError, StorePath};
pub use tree::TreeSource;
