//! The user's name, the user's home, and the links in it that lead to the user's profile.
//!
//! Nix ignores a HOME that its user does not own, and keeps the profile behind `~/.nix-profile`; a home on a fresh
//! volume, or in a new container, has no such link, so it is made again at each start.

use std::env;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::failure::{BAD_USAGE, Failure};
use crate::terminal::say;

/// Bytes of `/etc/passwd` that are read.
const PASSWD_LIMIT: usize = 1024 * 1024;

/// The names that Nix accepts in a path of its own, so that no name leads out of a directory.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The user's name: the one given, or `USER`, or what `/etc/passwd` calls this uid, or the uid in digits.
pub(crate) fn user_name(given: &str) -> Result<String, Failure> {
    let uid = geteuid().as_raw();
    let named = [given.to_owned(), env::var("USER").unwrap_or_default()];
    let name = named.into_iter().find(|name| !name.is_empty());
    let name = name.or_else(|| Some(account(uid)?.0)).unwrap_or_else(|| uid.to_string());
    if is_name(&name) {
        return Ok(name);
    }
    Err(Failure::new(
        BAD_USAGE,
        format!("'{name}' is no user name: expected letters, digits, '.', '_' and '-'"),
    ))
}

/// The name and home of a uid in `/etc/passwd`; `None` when it has no entry, or the file is not there.
fn account(uid: u32) -> Option<(String, String)> {
    let text = std::fs::read("/etc/passwd").ok().filter(|text| text.len() <= PASSWD_LIMIT)?;
    entry_of(&String::from_utf8_lossy(&text), uid)
}

fn entry_of(passwd: &str, uid: u32) -> Option<(String, String)> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_wanted = fields.len() == 7 && fields[2].parse() == Ok(uid);
        is_wanted.then(|| (fields[0].to_owned(), fields[5].to_owned()))
    })
}

/// The home: `HOME`, or what `/etc/passwd` says. `None` where neither is an absolute path.
pub(crate) fn directory() -> Option<PathBuf> {
    let of_environment = env::var_os("HOME").map(PathBuf::from);
    let of_account = || account(geteuid().as_raw()).map(|(_, home)| PathBuf::from(home));
    of_environment.or_else(of_account).filter(|home| home.is_absolute())
}

/// Makes the home and the link to the user's profile, where this user has a Nix of its own; nothing elsewhere.
///
/// A home that cannot be made or written is said and no failure: not every program needs one.
pub(crate) fn prepare(user: &str) {
    let uid = geteuid().as_raw();
    let profiles = Path::new("/nix/var/nix/profiles/per-user");
    let has_nix = profiles.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == uid);
    let Some(home) = directory().filter(|_| has_nix) else { return };
    let prepared = prepare_directory(&home, uid).and_then(|is_own| {
        if is_own {
            return link_profile(&home, &profiles.join(user));
        }
        Err(io::Error::other(format!("it belongs to another user than uid {uid}, so Nix ignores it")))
    });
    if let Err(error) = prepared {
        say(&format!("warning: cannot use {} as the home of {user}: {error}", home.display()));
    }
}

/// Makes the directory, and tells whether it is the user's own.
fn prepare_directory(home: &Path, uid: u32) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(home) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !home.is_dir() => Err(error),
        _ => Ok(home.metadata()?.uid() == uid),
    }
}

/// Links `~/.nix-profile` to the user's profile. A link to somewhere that exists is the user's choice and stays.
fn link_profile(home: &Path, of_user: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(of_user) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let profile = of_user.join("profile");
    let link = home.join(".nix-profile");
    if std::fs::read_link(&link).is_ok_and(|target| target == profile) || link.exists() {
        return Ok(());
    }
    match std::fs::remove_file(&link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(&profile, &link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_entry_of_a_uid() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\ncode:x:1001:1001::/home/code:/bin/bash\n";
        let code = Some(("code".to_owned(), "/home/code".to_owned()));
        assert_eq!(entry_of(passwd, 1001), code);
        assert_eq!(entry_of(passwd, 4242), None);
        assert_eq!(entry_of("", 0), None);
    }

    #[test]
    fn names_lead_nowhere_else() {
        for (name, expected) in
            [("code", true), ("4242", true), ("a.b-c_d", true), ("", false), ("..", false), ("a/b", false)]
        {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }

    #[test]
    fn links_the_profile_and_leaves_a_choice_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (home, of_user) = (folder.path().join("home"), folder.path().join("code"));
        std::fs::create_dir(&home).expect("a folder");
        let link = home.join(".nix-profile");
        symlink("/nowhere", &link).expect("a link");
        link_profile(&home, &of_user).expect("linked");
        assert_eq!(std::fs::read_link(&link).expect("a link"), of_user.join("profile"));
        std::fs::remove_file(&link).expect("a link");
        symlink(&home, &link).expect("a link");
        link_profile(&home, &of_user).expect("left alone");
        assert_eq!(std::fs::read_link(&link).expect("a link"), home);
    }
}
