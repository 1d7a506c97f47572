//! An installable, built: `.#app` or `nixpkgs#hello` come in, the store paths of their outputs go out.
//!
//! For another system than this machine's, [`for_system`] first finds the flake's attribute that is meant.

mod build;
mod system;

pub use build::{BuildError, Progress, build, flake_last_modified, is_installable};
pub use system::{ForSystemError, for_system};
