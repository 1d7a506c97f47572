//! A program that runs for the length of one test: found, started, waited for, stopped, cleaned up.
//!
//! Engines and registries are such programs. Comes in: a command and a private [`directory`]. Goes out: a running
//! [`process`] that ends with its owner, however the test ends: returning, panicking, or being killed.

pub mod directory;
mod leftovers;
pub mod output;
pub mod port;
pub mod process;
pub mod program;
pub mod shared;
