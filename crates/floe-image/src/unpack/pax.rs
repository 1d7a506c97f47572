//! Pax records: what a header's fixed fields cannot hold (POSIX.1-2024, `pax`, "pax Extended Header").
//!
//! Values are raw bytes and may hold newlines and, in extended attributes, NULs: a record ends where its length says.

use super::tar_reader::Xattr;

/// Attributes of an entry that is to be held in memory; Linux takes 64 KiB for one (`XATTR_SIZE_MAX`), and no real
/// image has more than a capability, a label and an access list.
const MOST_XATTRS: usize = 64;

/// The key of an extended attribute before its name (GNU tar, Go and libarchive write it so).
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// What records say about the entry that follows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PaxRecords {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link_path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) modified: Option<i64>,
    pub(super) xattrs: Vec<Xattr>,
}

/// Where records stand: for one entry, or for all that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Next,
    Global,
}

impl PaxRecords {
    /// Reads the content of an `x` or `g` entry; later records win over earlier ones.
    ///
    /// # Errors
    /// What is wrong, as a sentence's part.
    pub(super) fn read(mut bytes: &[u8], reach: Reach) -> Result<Self, String> {
        let mut records = Self::default();
        while !bytes.is_empty() {
            let (key, value, rest) = split(bytes).ok_or("a pax record has no length, key and value")?;
            bytes = rest;
            records.add(key, value, reach)?;
        }
        Ok(records)
    }

    fn add(&mut self, key: &[u8], value: &[u8], reach: Reach) -> Result<(), String> {
        let shown = || String::from_utf8_lossy(key).escape_debug().to_string();
        if key.starts_with(b"GNU.sparse.") {
            return Err("the file is sparse, which layers do not use: expected its whole content".to_owned());
        }
        let number = || format!("the pax value of '{}' is no number that fits", shown());
        let means_something =
            matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid") || key.starts_with(XATTR_PREFIX);
        if reach == Reach::Global {
            // Global records carry remarks; one that names every file alike is an attempt to confuse.
            let problem = || format!("a global pax header sets '{}'", shown());
            return if means_something { Err(problem()) } else { Ok(()) };
        }
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link_path = Some(value.to_vec()),
            b"size" => self.size = Some(text(value).and_then(|text| text.parse().ok()).ok_or_else(number)?),
            b"uid" => self.uid = Some(text(value).and_then(|text| text.parse().ok()).ok_or_else(number)?),
            b"gid" => self.gid = Some(text(value).and_then(|text| text.parse().ok()).ok_or_else(number)?),
            b"mtime" => self.modified = Some(seconds(value).ok_or_else(number)?),
            key => {
                if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
                    self.add_xattr(name, value)?;
                }
            }
        }
        Ok(())
    }

    fn add_xattr(&mut self, name: &[u8], value: &[u8]) -> Result<(), String> {
        if name.is_empty() || name.contains(&0) {
            return Err("an extended attribute has no name".to_owned());
        }
        self.xattrs.retain(|xattr| xattr.name != name);
        if self.xattrs.len() == MOST_XATTRS {
            return Err(format!("there are more than {MOST_XATTRS} extended attributes"));
        }
        self.xattrs.push(Xattr { name: name.to_vec(), value: value.to_vec() });
        Ok(())
    }
}

/// Splits the first record off: key, value, rest.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    // 20 digits hold any length.
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = text(&bytes[..space])?.parse().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    (equals > 0).then_some((&record[..equals], &record[equals + 1..], &bytes[length..]))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The whole seconds of a decimal time, which may have a fraction and lie before 1970.
fn seconds(value: &[u8]) -> Option<i64> {
    let text = text(value)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    fraction.bytes().all(|byte| byte.is_ascii_digit()).then(|| whole.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_records_by_their_length() {
        let bytes = [&b"12 path=a\nb\n"[..], b"30 SCHILY.xattr.user.x=\0\xff\n==\n\n", b"15 mtime=-12.5\n"];
        let records = PaxRecords::read(&bytes.concat(), Reach::Next).expect("records");
        assert_eq!(records.path.as_deref(), Some(&b"a\nb"[..]));
        assert_eq!(records.modified, Some(-12));
        assert_eq!(records.xattrs, [Xattr { name: b"user.x".to_vec(), value: b"\0\xff\n==\n".to_vec() }]);
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for (bytes, reach) in [
            (&b"x path=a\n"[..], Reach::Next),
            (b"5 a=b\n", Reach::Next),
            (b"99 a=b\n", Reach::Next),
            (b"0 ", Reach::Next),
            (b"6 =bc\n", Reach::Next),
            (b"18446744073709551616 a=b\n", Reach::Next),
            (b"11 size=-1\n", Reach::Next),
            (b"22 GNU.sparse.major=1\n", Reach::Next),
            (b"18 SCHILY.xattr.=\n", Reach::Next),
            (b"10 path=a\n", Reach::Global),
        ] {
            assert!(PaxRecords::read(bytes, reach).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(PaxRecords::read(b"13 comment=a\n", Reach::Global).is_ok());
    }
}
