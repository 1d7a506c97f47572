//! Container engines of this machine: images are loaded into them and run by them, through their own programs.

mod kind;

pub use kind::{EngineError, EngineKind};
