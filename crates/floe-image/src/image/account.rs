//! Who runs in an image, and the files by which programs find out: passwd, group, nsswitch.conf (passwd(5), group(5)).
//!
//! A base's account files are added to, never replaced; an account that it has is used as it is.

use super::root::NSSWITCH;
use super::{Base, User};
use crate::layer::root_tree::{RootEntry, RootNode};
use crate::layer::{BaseRoot, Owner};

/// `nobody`'s number on every Linux.
const NOBODY: u32 = 65_534;

/// The account that a container's process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// The config's `User`.
    pub(super) user: String,
    /// The numbers that own what is made for it.
    pub(super) owner: Owner,
    /// Name and home, where they are floe's to say: a base's own user has what the base gives it.
    pub(super) names: Option<AccountNames>,
}

/// An account's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccountNames {
    pub(super) name: String,
    /// Absolute.
    pub(super) home: String,
    /// Whether the base has the account already, and so has or lacks its home on purpose.
    is_base: bool,
}

impl Account {
    /// The account of the user that was asked for, else the base's own, else floe's default. The `Err` is the name of
    /// a base's user that its account files do not have.
    pub(super) fn choose(asked: Option<User>, base: Option<&Base>) -> Result<Self, String> {
        let inherited = base.and_then(|base| base.config.config.user.clone()).filter(|user| !user.is_empty());
        match (asked, inherited, base) {
            (None, Some(user), Some(base)) => {
                let owner = owner(&user, &base.root).ok_or_else(|| user.clone())?;
                Ok(Self { user, owner, names: None })
            }
            (asked, _, base) => Ok(Self::numbered(asked.unwrap_or_default(), base.map(|base| &base.root))),
        }
    }

    fn numbered(user: User, base: Option<&BaseRoot>) -> Self {
        let Owner { uid, gid } = user.owner;
        let passwd = base.and_then(BaseRoot::passwd).unwrap_or_default();
        let known = accounts(passwd).find(|account| account.id == Some(uid));
        let names = match known {
            Some(Line { name, home: Some(home), .. }) if home.starts_with('/') => {
                AccountNames { name: name.to_owned(), home: home.to_owned(), is_base: true }
            }
            _ => {
                let is_taken = accounts(passwd).any(|account| account.name == user.name());
                let name = if is_taken { format!("user{uid}") } else { user.name().to_owned() };
                AccountNames { name, home: user.home().to_owned(), is_base: false }
            }
        };
        Self { user: format!("{uid}:{gid}"), owner: user.owner, names: Some(names) }
    }
}

/// The numbers of a user as configs write it: `name`, `uid`, `name:group`, `uid:gid` (OCI image-spec v1.1, config.md,
/// `User`).
fn owner(user: &str, base: &BaseRoot) -> Option<Owner> {
    let (user, group) = user.split_once(':').map_or((user, None), |(user, group)| (user, Some(group)));
    let find = |text: Option<&str>, name: &str, id: Option<u32>| {
        accounts(text.unwrap_or_default())
            .find(|line| line.name == name || id.is_some() && line.id == id)
            .map(|line| (line.id, line.group))
    };
    let uid = user.parse().ok();
    let account = find(base.passwd(), user, uid);
    let uid = uid.or_else(|| account.and_then(|(id, _)| id))?;
    let gid = match group {
        Some(group) => group.parse().ok().or_else(|| find(base.group(), group, None)?.0)?,
        None => account.and_then(|(_, group)| group).unwrap_or(0),
    };
    Some(Owner { uid, gid })
}

/// A line of passwd or group.
struct Line<'text> {
    name: &'text str,
    id: Option<u32>,
    /// Only in passwd.
    group: Option<u32>,
    home: Option<&'text str>,
}

fn accounts(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let number = |index: usize| fields.get(index).and_then(|field| field.parse().ok());
        Line { name: fields[0], id: number(2), group: number(3), home: fields.get(5).copied() }
    })
}

/// The account files and the owned home of an image's user.
pub(super) fn account_entries(account: &Account, base: Option<&BaseRoot>) -> Vec<RootEntry> {
    // The base looks after its own user.
    let Some(names) = &account.names else { return Vec::new() };
    let Owner { uid, gid } = account.owner;
    let AccountNames { name, home, is_base } = names;
    let mut passwd = Accounts::new(base.and_then(BaseRoot::passwd));
    let mut group = Accounts::new(base.and_then(BaseRoot::group));
    passwd.add_to_empty(0, "root:x:0:0:root:/root:/bin/sh");
    group.add_to_empty(0, "root:x:0:");
    passwd.add(uid, &format!("{name}:x:{uid}:{gid}::{home}:/bin/sh"));
    group.add(gid, &format!("{name}:x:{gid}:"));
    passwd.add_to_empty(NOBODY, &format!("nobody:x:{NOBODY}:{NOBODY}:nobody:/nonexistent:/bin/false"));
    group.add_to_empty(NOBODY, &format!("nogroup:x:{NOBODY}:"));

    let mut entries = Vec::new();
    entries.extend(group.changed().map(|text| file("etc/group", text)));
    if base.is_none_or(|base| !base.has_file(NSSWITCH)) {
        // Without nsswitch.conf, glibc asks for names in places that a container does not have.
        let nsswitch = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n";
        entries.push(file(NSSWITCH, nsswitch.to_owned()));
    }
    entries.extend(passwd.changed().map(|text| file("etc/passwd", text)));
    entries.push(folder("root", 0o700, Owner::default()));
    if uid != 0 && !is_base {
        entries.push(folder(home.trim_matches('/'), 0o755, account.owner));
    }
    entries
}

/// An account file in the making.
struct Accounts {
    text: String,
    is_new: bool,
    is_changed: bool,
}

impl Accounts {
    fn new(base: Option<&str>) -> Self {
        let mut text = base.unwrap_or_default().to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Self { text, is_new: base.is_none(), is_changed: false }
    }

    /// Adds a line, unless there is one of its number.
    fn add(&mut self, id: u32, line: &str) {
        if accounts(&self.text).all(|account| account.id != Some(id)) {
            self.text.push_str(line);
            self.text.push('\n');
            self.is_changed = true;
        }
    }

    /// Adds a line to a file of floe's own.
    fn add_to_empty(&mut self, id: u32, line: &str) {
        if self.is_new {
            self.add(id, line);
        }
    }

    fn changed(self) -> Option<String> {
        self.is_changed.then_some(self.text)
    }
}

/// A folder by value.
pub(super) fn folder(path: &str, mode: u32, owner: Owner) -> RootEntry {
    RootEntry { path: path.to_owned(), mode, owner, node: RootNode::Directory }
}

fn file(path: &str, text: String) -> RootEntry {
    let node = RootNode::File(text.into_bytes());
    RootEntry { path: path.to_owned(), mode: 0o644, owner: Owner::default(), node }
}
