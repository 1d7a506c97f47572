//! A stand-in for nixpkgs made of Debian's packages: real programs with a real graph, without nixpkgs.
//!
//! A release's package lists become a flake in which each package is one derivation: the `.deb` unpacked, `usr/`
//! merged up, programs and libraries pointed at their dependencies in the store with patchelf. What it builds runs
//! from `/nix/store` alone, and Nix finds the references itself.
//!
//! The front door is [`node_closure`], [`developer_closure`] and [`node_server`]: the first caller builds, later
//! callers, in this process or another, get the same store paths in milliseconds. [`build_closure`] makes other
//! closures, of other versions too: [`updates()`] says which the release has had.

mod closures;

mod package_set;

mod updates;

mod resolution;

mod package_list;

mod dependency;

mod version;

mod node_archives;

mod nix_text;

pub use closures::{
    BuiltClosure, ClosureError, aarch64_node_closure, build_closure, developer_closure, nix_closure, node_22,
    node_closure, node_server, template_closure,
};
pub use package_set::{PackageSet, PackageSetConfig, PackageSetError};
pub use resolution::ResolutionError;
pub use updates::{Update, updates};
