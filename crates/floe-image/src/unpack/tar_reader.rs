//! A tar, entry by entry: bytes of a stranger come in, entries with checked paths go out, contents beside them.
//!
//! Reads what writers of layers use: ustar and pax (POSIX.1-2024, `pax`), GNU's long names and base-256 numbers (GNU
//! tar manual, "Basic Tar Format"). Sparse files, volumes and unknown kinds are refused by name rather than guessed at,
//! since what one reader skips another unpacks.

use std::io::{self, Read};

use super::pax::{PaxRecords, Reach};
use super::tree_path::{ParseTreePathError, TreePath};
use crate::layer::Owner;

/// A tar's unit, in bytes.
const RECORD_SIZE: usize = 512;

/// The largest pax or GNU extension: 64 attributes of a few KiB, and far more than any path.
const LARGEST_EXTENSION: u64 = 1 << 20;

/// The longest target of a link, as of a path (`PATH_MAX` in linux/limits.h).
const LONGEST_TARGET: usize = 4095;

/// An extended attribute of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    /// Its name with its namespace: `security.capability`.
    pub name: Vec<u8>,
    /// Its value, any bytes.
    pub value: Vec<u8>,
}

impl Xattr {
    /// The bytes that it holds.
    pub(super) fn size(&self) -> usize {
        self.name.len() + self.value.len()
    }
}

/// One entry of a tar.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: TreePath,
    pub(super) kind: EntryKind,
    /// Permissions with set-user-ID, set-group-ID and sticky: at most `0o7777`.
    pub(super) mode: u32,
    pub(super) owner: Owner,
    /// Seconds since 1970.
    pub(super) modified: i64,
    pub(super) xattrs: Vec<Xattr>,
}

/// What an entry is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    Directory,
    /// A file of this many bytes, which [`TarReader::read_content`] yields.
    File(u64),
    HardLink(TreePath),
    /// The target, raw.
    Symlink(Vec<u8>),
    CharacterDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// Why a tar could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The bytes could not be read: the source failed, or they do not decompress.
    #[error("cannot read the tar at byte {offset}")]
    Read {
        /// Where, in bytes of the tar.
        offset: u64,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The bytes are no tar, or are cut off.
    #[error("the tar is malformed at byte {offset}: {reason}")]
    Malformed {
        /// Where the entry's header begins, in bytes of the tar.
        offset: u64,
        /// What was found.
        reason: String,
    },
    /// An entry's name leads out of the image, or to no place a file system has.
    #[error("the tar has a bad name at byte {offset}")]
    Path {
        /// Where the entry's header begins, in bytes of the tar.
        offset: u64,
        /// What is wrong with the name.
        #[source]
        source: ParseTreePathError,
    },
}

/// A tar that is read from its start to its end.
pub(super) struct TarReader<'a> {
    input: &'a mut dyn Read,
    /// Where the next byte of the input lies in the tar.
    offset: u64,
    /// Where the header of the entry under way begins.
    header: u64,
    /// Bytes of the entry's content that were not read.
    content: u64,
    /// Bytes that fill the content up to a record.
    padding: u64,
}

impl<'a> TarReader<'a> {
    pub(super) fn new(input: &'a mut dyn Read) -> Self {
        Self { input, offset: 0, header: 0, content: 0, padding: 0 }
    }

    /// The next entry; what was left of the last one's content is skipped. `None` at the end.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut records = PaxRecords::default();
        let mut is_extended = false;
        loop {
            self.skip_content()?;
            self.header = self.offset;
            let Some(header) = self.read_header()? else {
                return if is_extended {
                    self.malformed("an extension stands before no entry")
                } else {
                    Ok(None)
                };
            };
            let Some(size) = header.number(124..136) else { return self.malformed("the size is no number") };
            match header.kind() {
                b'x' => {
                    let content = self.read_extension(size)?;
                    records =
                        PaxRecords::read(&content, Reach::Next).or_else(|reason| self.malformed(reason))?;
                    is_extended = true;
                }
                b'g' => {
                    let content = self.read_extension(size)?;
                    PaxRecords::read(&content, Reach::Global).or_else(|reason| self.malformed(reason))?;
                }
                b'L' => {
                    records.path = Some(until_nul(&self.read_extension(size)?).to_vec());
                    is_extended = true;
                }
                b'K' => {
                    records.link_path = Some(until_nul(&self.read_extension(size)?).to_vec());
                    is_extended = true;
                }
                _ => return self.entry(&header, size, records).map(Some),
            }
        }
    }

    /// Reads bytes of the current entry's content; 0 at its end.
    ///
    /// # Errors
    /// When the input fails, or ends within the content.
    pub(super) fn read_content(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.content).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.input.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the tar is cut off in a file"));
        }
        self.offset += read as u64;
        self.content -= read as u64;
        Ok(read)
    }

    fn entry(&mut self, header: &Header, size: u64, records: PaxRecords) -> Result<Entry, TarError> {
        let name = records.path.unwrap_or_else(|| header.name());
        let is_directory_name = name.ends_with(b"/");
        let path = self.path(&name)?;
        let target = records.link_path.unwrap_or_else(|| until_nul(&header.0[157..257]).to_vec());
        let size = records.size.unwrap_or(size);
        let kind = match header.kind() {
            // Before ustar, a slash at the end made a directory.
            b'0' | 0 if is_directory_name => EntryKind::Directory,
            // '7' is a file in one piece on disk, which nobody asks for any more.
            b'0' | 0 | b'7' => EntryKind::File(size),
            b'1' => EntryKind::HardLink(self.path(&target)?),
            b'2' if target.is_empty() || target.contains(&0) || target.len() > LONGEST_TARGET => {
                return self.malformed(format!(
                    "the target of the symlink {path} is empty, too long or holds a NUL"
                ));
            }
            b'2' => EntryKind::Symlink(target),
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            kind @ (b'3' | b'4') => {
                let number = |range| header.number(range).and_then(|number| u32::try_from(number).ok());
                let (Some(major), Some(minor)) = (number(329..337), number(337..345)) else {
                    return self.malformed(format!("the device {path} has no number"));
                };
                match kind {
                    b'3' => EntryKind::CharacterDevice { major, minor },
                    _ => EntryKind::BlockDevice { major, minor },
                }
            }
            b'S' => {
                return self.malformed(format!(
                    "{path} is sparse, which layers do not use: expected its whole content"
                ));
            }
            kind => {
                let kind = char::from(kind).escape_default();
                return self.malformed(format!("{path} is of the unknown kind '{kind}'"));
            }
        };
        if path.is_root() && kind != EntryKind::Directory {
            return self.malformed("the root is no directory");
        }
        // All other kinds have no content, whatever their size says (Go `archive/tar`, `isHeaderOnly`).
        if let EntryKind::File(size) = kind {
            self.content = size;
            self.padding = size.wrapping_neg() % RECORD_SIZE as u64;
        }
        let small = |number: u64| u32::try_from(number).ok();
        let mode = header.number(100..108).and_then(small);
        let uid = records.uid.or_else(|| header.number(108..116).and_then(small));
        let gid = records.gid.or_else(|| header.number(116..124).and_then(small));
        let modified = records.modified.or_else(|| header.signed_number(136..148));
        let (Some(mode), Some(uid), Some(gid), Some(modified)) = (mode, uid, gid, modified) else {
            return self.malformed(format!("mode, owner or time of {path} is no number that fits"));
        };
        let (mode, owner, xattrs) = (mode & 0o7777, Owner { uid, gid }, records.xattrs);
        Ok(Entry { path, kind, mode, owner, modified, xattrs })
    }

    fn path(&self, name: &[u8]) -> Result<TreePath, TarError> {
        TreePath::parse(name).map_err(|source| TarError::Path { offset: self.header, source })
    }

    /// The next header; `None` at the end, which some writers mark by nothing.
    fn read_header(&mut self) -> Result<Option<Header>, TarError> {
        let mut header = Header([0; RECORD_SIZE]);
        let mut filled = 0;
        while filled < RECORD_SIZE {
            match self.read_some(&mut header.0[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return self.malformed("it is cut off in a header"),
                read => filled += read,
            }
        }
        if header.0.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if !header.has_right_sum() {
            return self.malformed("there is no header where one should be");
        }
        Ok(Some(header))
    }

    fn read_extension(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > LARGEST_EXTENSION {
            return self
                .malformed(format!("an extension has {size} bytes: expected at most {LARGEST_EXTENSION}"));
        }
        self.content = size;
        self.padding = size.wrapping_neg() % RECORD_SIZE as u64;
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.read_content(&mut buffer) {
                Ok(0) => return Ok(bytes),
                Ok(read) => bytes.extend_from_slice(&buffer[..read]),
                Err(source) => return Err(self.unreadable(source)),
            }
        }
    }

    fn skip_content(&mut self) -> Result<(), TarError> {
        let mut left = self.content.saturating_add(self.padding);
        let mut buffer = [0; 16 * 1024];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            match self.read_some(&mut buffer[..most])? {
                // The padding of the last file may be missing.
                0 if left <= self.padding => break,
                0 => return self.malformed("it is cut off in a file"),
                read => left -= read as u64,
            }
        }
        self.content = 0;
        self.padding = 0;
        Ok(())
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let read = self.input.read(buffer).map_err(|source| self.unreadable(source))?;
        self.offset += read as u64;
        Ok(read)
    }

    pub(super) fn unreadable(&self, source: io::Error) -> TarError {
        TarError::Read { offset: self.offset, source }
    }

    pub(super) fn malformed<T>(&self, reason: impl Into<String>) -> Result<T, TarError> {
        Err(TarError::Malformed { offset: self.header, reason: reason.into() })
    }
}

/// A header block; the numbers in the code are POSIX's field offsets.
struct Header([u8; RECORD_SIZE]);

impl Header {
    fn kind(&self) -> u8 {
        self.0[156]
    }

    fn name(&self) -> Vec<u8> {
        let (name, prefix) = (until_nul(&self.0[..100]), until_nul(&self.0[345..500]));
        // GNU's own magic is followed by a space, and the prefix's place holds other things.
        if &self.0[257..263] == b"ustar\0" && !prefix.is_empty() {
            [prefix, b"/", name].concat()
        } else {
            name.to_vec()
        }
    }

    /// The checksum counts its own field as spaces.
    fn has_right_sum(&self) -> bool {
        let byte = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) };
        let sum = self.0.iter().enumerate().map(byte).sum();
        self.number(148..156) == Some(sum)
    }

    fn number(&self, range: std::ops::Range<usize>) -> Option<u64> {
        self.signed_number(range).and_then(|number| u64::try_from(number).ok())
    }

    /// Octal digits, an empty field being 0; or GNU's base-256 number in two's complement.
    fn signed_number(&self, range: std::ops::Range<usize>) -> Option<i64> {
        let field = &self.0[range];
        if field[0] & 0x80 != 0 {
            // The first bit marks the form, the second is the sign.
            let first = i64::from(field[0] & 0x3f) - if field[0] & 0x40 == 0 { 0 } else { 0x40 };
            return field[1..]
                .iter()
                .try_fold(first, |number, byte| number.checked_mul(256)?.checked_add(i64::from(*byte)));
        }
        let is_filler = |byte: &u8| matches!(byte, b' ' | 0);
        let digits =
            field.iter().copied().skip_while(|byte| is_filler(byte)).take_while(|byte| !is_filler(byte));
        let mut number = 0_i64;
        for digit in digits {
            let digit = (b'0'..=b'7').contains(&digit).then(|| i64::from(digit - b'0'))?;
            number = number.checked_mul(8)?.checked_add(digit)?;
        }
        Some(number)
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}
