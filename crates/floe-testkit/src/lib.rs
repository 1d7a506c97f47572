//! Real engines, registries and closures for the tests of the other crates; never part of what ships.

pub mod engine;
pub mod http;
pub mod registry;
pub mod service;
