//! floe-init, the program that floe puts into images as their entrypoint where one is needed.
//!
//! Comes in: an image's command line, its environment, a registration of the store paths that the image carries.
//! Goes out: a volume at `/nix` that holds them, an environment that was checked, and the program, run.
//! It is static and needs nothing of its image: no shell, no libraries, no users, no writable root.
//!
//! Unsafe code is confined to [`signals`] and [`supervise`], each with its reason.

mod command_line;
mod setting;

mod environment;
mod home;
mod mounted_nix;
mod run;
mod supervise;
mod wait;

mod activate;
mod health;
mod seed;

mod duration;
mod failure;
mod signals;
#[cfg(target_feature = "crt-static")]
mod static_libc;
mod terminal;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match command_line::dispatch(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            terminal::complain(&failure);
            ExitCode::from(failure.exit_code)
        }
    }
}
