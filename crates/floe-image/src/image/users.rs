//! The files by which programs find out who they are: passwd, group, nsswitch.conf (passwd(5), group(5)).

use super::User;
use crate::layer::Owner;
use crate::layer::root_tree::{RootEntry, RootNode};

/// `nobody`'s number on every Linux.
const NOBODY: u32 = 65_534;

/// The account files and the owned home of an image's user.
pub(super) fn account_entries(user: User) -> Vec<RootEntry> {
    let Owner { uid, gid } = user.owner;
    let mut passwd = "root:x:0:0:root:/root:/bin/sh\n".to_owned();
    let mut group = "root:x:0:\n".to_owned();
    if uid != 0 {
        passwd += &format!("{}:x:{uid}:{gid}::{}:/bin/sh\n", user.name(), user.home());
    }
    if gid != 0 {
        group += &format!("{}:x:{gid}:\n", user.name());
    }
    if uid != NOBODY {
        passwd += &format!("nobody:x:{NOBODY}:{NOBODY}:nobody:/nonexistent:/bin/false\n");
    }
    if gid != NOBODY {
        group += &format!("nogroup:x:{NOBODY}:\n");
    }
    // Without nsswitch.conf, glibc asks for names in places that a container does not have.
    let nsswitch = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n".to_owned();

    let mut entries = vec![
        file("etc/group", group),
        file("etc/nsswitch.conf", nsswitch),
        file("etc/passwd", passwd),
        folder("root", 0o700, Owner::default()),
    ];
    if uid != 0 {
        entries.push(folder(user.home().trim_start_matches('/'), 0o755, user.owner));
    }
    entries
}

/// A folder by value.
pub(super) fn folder(path: &str, mode: u32, owner: Owner) -> RootEntry {
    RootEntry { path: path.to_owned(), mode, owner, node: RootNode::Directory }
}

fn file(path: &str, text: String) -> RootEntry {
    let node = RootNode::File(text.into_bytes());
    RootEntry { path: path.to_owned(), mode: 0o644, owner: Owner::default(), node }
}
