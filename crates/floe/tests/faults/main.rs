//! floe where things go wrong: killed at any moment, with full disks, damaged files and bad input.
//!
//! What holds in every case: an image is right or it is not there, and the next run succeeds. These tests need
//! root, Nix, `strace` and `mount`; they run the real program on the closure of the example Node server.

mod house;

mod budgets;
mod disk;
mod doctor;
mod fresh_machine;
mod input;
mod killed;
mod strace;
