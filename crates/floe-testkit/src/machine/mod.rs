//! The machine that tests run on: its programs, its caches, its Debian mirror.
//!
//! Nothing here changes the machine's own configuration: Nix is configured through the environment and apt
//! keeps a second set of lists, so that a developer's `nix.conf` and `sources.list` stay as they are.

mod process;

mod cache;

mod nix;

mod apt;

mod mirror;

mod npm;

mod nix_root;

mod peers;

mod workspace;

pub use apt::{AptError, AptRoot, Release};
pub use cache::{CacheError, cache_directory, hold_lock};
pub use mirror::{MirrorError, debian_mirror};
pub use nix::nix_command;
pub use nix_root::{NixRoot, NixRootError};
pub use npm::{NpmError, npm_archive};
pub use peers::{PeerError, install_peers, peer};
pub use process::{ProcessError, run, run_for_output};
pub use workspace::xtask_command;
