//! `floe-init seed` on volumes that are directories or small file systems of their own, judged by a real Nix.

mod image;
mod volume;

mod fresh;
mod full;
mod interrupted;
mod refusals;
mod rounds;
mod upgrade;
mod verified;
