//! Disks: whether floe may write where it keeps things, and how much room there is.

use std::path::Path;

use floe_store::Store;
use rustix::fs::{Access, access, statvfs};

use super::Finding;
use crate::places::Places;
use crate::terminal::size;

const AREA: &str = "disk";

/// Less than this and no image fits.
const TOO_LITTLE: u64 = 64_000_000;

/// Less than this and a large image does not fit.
const LITTLE: u64 = 2_000_000_000;

/// Less than this many files and a layout or a record does not fit.
const FEW_FILES: u64 = 1_000;

/// Looks at the folders that floe writes to, and at the store's disk.
pub(super) fn examine(places: &Places, store: &Store) -> Vec<Finding> {
    let places = [
        ("record", places.data.as_path(), true, "name another: XDG_DATA_HOME"),
        ("cache", &places.cache, true, "name another: XDG_CACHE_HOME"),
        ("Nix store", &store.physical_store(), false, "nix-collect-garbage"),
    ];
    places
        .into_iter()
        .filter_map(|(name, path, is_written, way_out)| one(name, path, is_written, way_out))
        .collect()
}

/// Looks at a folder, or the nearest one above it that is there; `None` where there is no store.
fn one(name: &str, path: &Path, is_written: bool, way_out: &str) -> Option<Finding> {
    if !is_written && !path.exists() {
        return None;
    }
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let shown = path.display();
    if is_written && let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK) {
        let what = format!("the {name} {shown} cannot be written: {}", std::io::Error::from(error));
        let fix = format!(
            "make {} this user's: sudo chown -R $USER {}; or {way_out}",
            there.display(),
            there.display()
        );
        return Some(Finding::problem(AREA, what, fix));
    }
    let room = match statvfs(there) {
        Ok(room) => room,
        Err(error) => {
            let what = format!("cannot look at the disk of {shown}: {}", std::io::Error::from(error));
            return Some(Finding::warning(AREA, what, format!("check that {} can be used", there.display())));
        }
    };
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    let what = format!("{} free for the {name} in {shown}", size(free));
    // Some file systems make room for files as they come, and say 0 of 0.
    let is_out_of_files = room.f_files > 0 && room.f_favail < FEW_FILES;
    let fix = format!("make room: floe gc --no-cache; or {way_out}");
    Some(match free {
        _ if is_out_of_files && is_written => {
            Finding::problem(AREA, format!("{what}, and room for {} files", room.f_favail), fix)
        }
        0..TOO_LITTLE if is_written => Finding::problem(AREA, what, fix),
        0..LITTLE => Finding::warning(AREA, what, fix),
        _ => Finding::ok(AREA, what),
    })
}
