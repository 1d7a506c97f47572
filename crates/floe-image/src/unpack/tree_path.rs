//! A tree path is where something stands in an image: raw bytes, and no way out of the image.

use std::borrow::Borrow;
use std::fmt;

/// Linux refuses longer paths in one call (`PATH_MAX` in linux/limits.h, without the NUL).
const LONGEST_PATH: usize = 4095;

/// Linux refuses longer names (`NAME_MAX` in linux/limits.h).
const LONGEST_NAME: usize = 255;

/// A path below an image's root. The root itself is the empty path.
///
/// Invariant: no slash at either end, and no part is empty, `.`, `..`, longer than a file system takes, or holds a
/// NUL. So joining it to a directory leads to something in that directory, as long as no symlink is followed.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreePath(Vec<u8>);

/// A name in an archive that is no path below its root.
#[derive(Debug, thiserror::Error)]
pub enum ParseTreePathError {
    /// `..` could lead out of the image.
    #[error("'{0}' has a '..': expected a path that stays in the image")]
    Parent(String),
    /// A NUL ends a path for the system but not for its reader, so the two would see different files.
    #[error("'{0}' holds a NUL byte")]
    Nul(String),
    /// The file system takes no such path.
    #[error("'{0}…' is too long: expected at most {LONGEST_NAME} bytes a name and {LONGEST_PATH} in all")]
    TooLong(String),
}

impl TreePath {
    /// The root of the image.
    pub const ROOT: Self = Self(Vec::new());

    /// Reads a name as archives write it: slashes at its ends, doubled ones and `.` say nothing, so that `/etc/`,
    /// `./etc` and `etc` are one.
    ///
    /// # Errors
    /// When it holds `..` or a NUL, or is too long.
    pub fn parse(name: &[u8]) -> Result<Self, ParseTreePathError> {
        let shown = || String::from_utf8_lossy(&name[..name.len().min(60)]).escape_debug().to_string();
        if name.contains(&0) {
            return Err(ParseTreePathError::Nul(shown()));
        }
        let mut path = Vec::with_capacity(name.len());
        for part in name.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return Err(ParseTreePathError::Parent(shown())),
                part if part.len() > LONGEST_NAME => return Err(ParseTreePathError::TooLong(shown())),
                part => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(part);
                }
            }
        }
        if path.len() > LONGEST_PATH {
            return Err(ParseTreePathError::TooLong(shown()));
        }
        Ok(Self(path))
    }

    /// The bytes, without a leading slash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root of the image.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last part; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// The directory that holds this path; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Self(self.0[..end].to_vec()))
    }

    /// The directories that hold this path, the root first; the path itself is not among them.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        let root = (!self.is_root()).then_some(Self::ROOT);
        let slashes = self.0.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        root.into_iter().chain(slashes.map(|(slash, _)| Self(self.0[..slash].to_vec())))
    }

    /// The parts from the first to the last.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    /// The path of something in this directory.
    ///
    /// # Errors
    /// When the name is no single part of a path, or the whole is too long.
    pub fn child(&self, name: &[u8]) -> Result<Self, ParseTreePathError> {
        Self::parse(&[self.as_bytes(), b"/", name].concat())
    }

    /// The rest of this path below `directory`; `None` when it does not lie there. A path lies below itself.
    #[must_use]
    pub fn below(&self, directory: &Self) -> Option<Self> {
        if directory.is_root() {
            return Some(self.clone());
        }
        let rest = self.0.strip_prefix(directory.as_bytes())?;
        match rest {
            [] => Some(Self::ROOT),
            [b'/', rest @ ..] => Some(Self(rest.to_vec())),
            _ => None,
        }
    }
}

impl Borrow<[u8]> for TreePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// For people, with the slash that a container shows; bytes that are no text are replaced.
impl fmt::Display for TreePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "/{}", String::from_utf8_lossy(&self.0).escape_debug())
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_as_archives_write_them() {
        let long = "d/".repeat(2049);
        for (name, expected) in [
            ("etc/passwd", Some("/etc/passwd")),
            ("./etc//passwd/", Some("/etc/passwd")),
            ("/etc/passwd", Some("/etc/passwd")),
            ("./", Some("/")),
            ("...", Some("/...")),
            ("..", None),
            ("a/../b", None),
            ("a/..", None),
            ("a\0b", None),
            (&"n".repeat(256), None),
            (&long, None),
        ] {
            let path = TreePath::parse(name.as_bytes()).ok();
            assert_eq!(path.map(|path| path.to_string()).as_deref(), expected, "{name:.80}");
        }
    }

    #[test]
    fn knows_what_lies_where() {
        let path = |text: &str| TreePath::parse(text.as_bytes()).expect("a path");
        let ancestors: Vec<TreePath> = path("a/b/c").ancestors().collect();
        assert_eq!(ancestors, [TreePath::ROOT, path("a"), path("a/b")]);
        assert_eq!(path("a/b").parent(), Some(path("a")));
        assert_eq!(path("a").parent(), Some(TreePath::ROOT));
        assert_eq!(TreePath::ROOT.parent(), None);
        assert_eq!(path("a/b/c").below(&path("a")), Some(path("b/c")));
        assert_eq!(path("ab").below(&path("a")), None);
        assert_eq!(path("a").below(&path("a")), Some(TreePath::ROOT));
        assert_eq!(path("a").below(&TreePath::ROOT), Some(path("a")));
    }
}
