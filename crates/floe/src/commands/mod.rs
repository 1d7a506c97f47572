//! The subcommands: one file each, its `Arguments`, then `run`.

pub(crate) mod build;
pub(crate) mod lock;
pub(crate) mod plan;

pub(crate) mod copy;
pub(crate) mod export;
pub(crate) mod extract;
pub(crate) mod images;
pub(crate) mod index;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod run;

pub(crate) mod diff;
pub(crate) mod gc;
pub(crate) mod history;
pub(crate) mod remove;
pub(crate) mod rollback;

pub(crate) mod login;
pub(crate) mod logout;

pub(crate) mod config;
pub(crate) mod digest;
pub(crate) mod manifest;

pub(crate) mod delete;
pub(crate) mod tag;
pub(crate) mod tags;

pub(crate) mod derivation;

pub(crate) mod doctor;
pub(crate) mod new;

pub(crate) mod completions;
pub(crate) mod man;
