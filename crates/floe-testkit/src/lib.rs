//! Real engines, registries and closures for the tests of the other crates; never part of what ships.

pub mod base;
pub mod debian;
pub mod engine;
pub mod http;
pub mod machine;
pub mod registry;
pub mod service;
