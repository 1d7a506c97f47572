//! Nix, read and written: store paths, closures, NAR, the file trees behind them, and Nix's database.
//!
//! A closure comes in from the Nix database, from `nix path-info`, from the daemon, from a build's
//! structured attributes or from a plain directory, and goes out as a [`Closure`]: every path with
//! its NAR hash, NAR size and references. A [`TreeSource`] then yields the files of each path in NAR order.
//! For an image that carries Nix, [`write`](mod@write) makes the database and the registration of its paths.
//!
//! This crate knows nothing of containers: no layer, image or registry appears here.
//!
//! ```no_run
//! use floe_store::{Store, StoreConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::new(StoreConfig::default());
//! let root = store.resolve("./result".as_ref())?;
//! let closure = store.closure(&[root])?;
//! for info in closure.paths() {
//!     let _ = (&info.path, info.nar_size);
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod added;
mod closure;
pub mod gc_root;
pub mod installable;
pub mod installation;
pub mod nar;
mod nar_hash;
pub mod nix32;
mod path_info;
mod program;
pub mod read;
mod resolve;
mod store;
mod store_dir;
mod store_path;
mod system;
pub mod tree;
pub mod write;

pub use added::{AddDirectoryError, Added, add_directory};
pub use closure::{Closure, ClosureError};
pub use nar_hash::{NarHash, ParseNarHashError};
pub use path_info::PathInfo;
pub use program::RunNixError;
pub use resolve::ResolveError;
pub use store::{ReadClosure, ReadClosureError, ReadSource, SourceErrors, Store, StoreConfig};
pub use store_dir::{ParseStoreDirError, StoreDir};
pub use store_path::{PackageName, ParseStorePathError, StorePath};
pub use system::{ParseSystemError, System, derivation_system, elf_system, system_of};
pub use tree::TreeSource;
