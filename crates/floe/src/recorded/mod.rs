//! The record: images by name, as recipes, generation by generation, with the GC roots that keep their store paths.
//!
//! `floe build` adds a generation; `load`, `run`, `export`, `push`, `images`, `history` and `diff` read them;
//! `rollback`, `remove` and `gc` change what there is. The libraries know the parts (recipes, histories, GC roots);
//! here they are one thing. Whatever a history names has its roots: they are made before, and removed after.

mod entry;
pub(crate) mod recipes;

mod open;
mod version_1;

pub(crate) mod elsewhere;
mod find;
mod put;
mod remove;
mod roots;
pub(crate) mod source;

mod collect;

pub(crate) use collect::{Garbage, garbage};
pub(crate) use entry::{OtherPlatform, Recorded};
pub(crate) use find::{IMAGE_NAME_HINT, find, history, is_image, names, parse, read, resolve, unknown};
pub(crate) use open::open;
pub(crate) use put::{move_tag, put};
pub(crate) use remove::{Removal, plan_removal, remove};
use roots::Roots;
