//! The kit's own tests: each engine and registry started for real, on Debian 12 as root.

mod busybox;
mod debian;
mod distribution;
mod engines;
mod in_process;
mod pulls;
