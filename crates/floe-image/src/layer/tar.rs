//! Tar headers: an entry comes in, the bytes that stand before its content go out.
//!
//! Format: POSIX.1-2024, `pax`, "ustar Interchange Format" for what fits its fields, "pax Header
//! Block" for what does not: long paths and targets, sizes from 8 GiB, owners from 2,097,152. Paths
//! stay raw bytes; POSIX wants UTF-8 in pax records, but GNU tar, Go and libarchive take any bytes.

use super::Owner;

/// The unit of tar: each header is one, and contents are filled up with zeros to a multiple of it.
const RECORD_SIZE: usize = 512;

/// What ends an archive. Filling up to 10,240 bytes, as tape drives wanted, is left out.
pub(super) const END: [u8; 2 * RECORD_SIZE] = [0; 2 * RECORD_SIZE];

/// The time of every node: one second after the epoch, as in the Nix store itself.
const MODIFIED: u64 = 1;

/// The name of pax headers, which only readers without pax ever show.
const PAX_NAME: &[u8] = b"././@PaxHeader";

const LONGEST_NAME: usize = 100;
const LONGEST_PREFIX: usize = 155;
const LONGEST_LINK_TARGET: usize = 100;

/// The first size that eleven octal digits cannot hold.
const PAX_SIZE: u64 = 0o100_000_000_000;

/// The first user or group that seven octal digits cannot hold.
const PAX_OWNER: u32 = 0o10_000_000;

/// One node of an archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// Without a leading slash; a directory's ends in one.
    pub(super) path: &'a [u8],
    pub(super) node: Node<'a>,
    /// Permissions, such as `0o555`.
    pub(super) mode: u32,
    pub(super) owner: Owner,
}

/// What a node is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node<'a> {
    Directory,
    /// A regular file of this many bytes, which follow the header.
    File(u64),
    /// A symbolic link to this target.
    Symlink(&'a [u8]),
}

/// The zeros that follow `size` bytes of content.
pub(super) fn padding(size: u64) -> &'static [u8] {
    const ZEROS: [u8; RECORD_SIZE] = [0; RECORD_SIZE];
    let over = (size % 512) as usize;
    &ZEROS[..(RECORD_SIZE - over) % RECORD_SIZE]
}

/// Appends everything that stands before an entry's content.
pub(super) fn header(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let target = match entry.node {
        Node::Symlink(target) => target,
        Node::Directory | Node::File(_) => &[],
    };
    let size = match entry.node {
        Node::File(size) => size,
        Node::Directory | Node::Symlink(_) => 0,
    };
    let split = split_path(entry.path);

    let mut records = Vec::new();
    if split.is_none() {
        pax_record(b"path", entry.path, &mut records);
    }
    if target.len() > LONGEST_LINK_TARGET {
        pax_record(b"linkpath", target, &mut records);
    }
    if size >= PAX_SIZE {
        pax_record(b"size", size.to_string().as_bytes(), &mut records);
    }
    for (key, id) in [(b"uid", entry.owner.uid), (b"gid", entry.owner.gid)] {
        if id >= PAX_OWNER {
            pax_record(key, id.to_string().as_bytes(), &mut records);
        }
    }
    if !records.is_empty() {
        let size = records.len() as u64;
        Record::new(b'x', 0o644, Owner::default(), size).name(b"", PAX_NAME).append_to(out);
        out.extend_from_slice(&records);
        out.extend_from_slice(padding(size));
    }

    let kind = match entry.node {
        Node::Directory => b'5',
        Node::File(_) => b'0',
        Node::Symlink(_) => b'2',
    };
    // Readers that know pax look past these fields, the others see the beginning of a long path.
    let (prefix, name) = split.unwrap_or((b"", &entry.path[..entry.path.len().min(LONGEST_NAME)]));
    let fits = |id: u32| if id < PAX_OWNER { id } else { 0 };
    let owner = Owner { uid: fits(entry.owner.uid), gid: fits(entry.owner.gid) };
    Record::new(kind, entry.mode, owner, if size < PAX_SIZE { size } else { 0 })
        .name(prefix, name)
        .target(&target[..target.len().min(LONGEST_LINK_TARGET)])
        .append_to(out);
}

/// Splits a path into the header's `prefix` and `name` at its first fitting slash, or not at all.
fn split_path(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= LONGEST_NAME {
        return Some((b"", path));
    }
    // A slash at the end belongs to the name, which must not be empty.
    let first = path.len() - LONGEST_NAME - 1;
    let end = (path.len() - 1).min(LONGEST_PREFIX + 1);
    let slash = first + path.get(first..end)?.iter().position(|byte| *byte == b'/')?;
    Some((&path[..slash], &path[slash + 1..]))
}

/// Appends `"%d %s=%s\n"`, where the number counts the whole record and so its own digits.
fn pax_record(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + digits(rest);
    if digits(length) > digits(rest) {
        length = rest + digits(length);
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or_default() as usize + 1
}

/// A header block being filled in; the numbers in the code are POSIX's field offsets.
struct Record([u8; RECORD_SIZE]);

impl Record {
    fn new(kind: u8, mode: u32, owner: Owner, size: u64) -> Self {
        let mut record = Self([0; RECORD_SIZE]);
        record.octal(100, 7, u64::from(mode));
        record.octal(108, 7, u64::from(owner.uid));
        record.octal(116, 7, u64::from(owner.gid));
        record.octal(124, 11, size);
        record.octal(136, 11, MODIFIED);
        record.0[156] = kind;
        record.bytes(257, b"ustar\x0000");
        record.octal(329, 7, 0);
        record.octal(337, 7, 0);
        record
    }

    fn name(mut self, prefix: &[u8], name: &[u8]) -> Self {
        self.bytes(0, name);
        self.bytes(345, prefix);
        self
    }

    fn target(mut self, target: &[u8]) -> Self {
        self.bytes(157, target);
        self
    }

    /// Adds the checksum, which counts its own field as spaces.
    fn append_to(mut self, out: &mut Vec<u8>) {
        self.bytes(148, b"        ");
        let sum = self.0.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        self.octal(148, 6, u64::from(sum));
        self.0[154] = 0;
        out.extend_from_slice(&self.0);
    }

    fn bytes(&mut self, offset: usize, bytes: &[u8]) {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes `digits` octal digits; a NUL or space behind them is there already.
    fn octal(&mut self, offset: usize, digits: usize, mut number: u64) {
        for digit in self.0[offset..offset + digits].iter_mut().rev() {
            *digit = b'0' | (number & 7) as u8;
            number >>= 3;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_too_large_for_their_fields_are_read_back() {
        for size in [0o77_777_777_777, PAX_SIZE, u64::from(u32::MAX) << 10] {
            for id in [0, PAX_OWNER - 1, PAX_OWNER, u32::MAX] {
                let owner = Owner { uid: id, gid: id };
                let mut bytes = Vec::new();
                header(&Entry { path: b"file", node: Node::File(size), mode: 0o444, owner }, &mut bytes);
                let mut archive = ::tar::Archive::new(bytes.as_slice());
                let entry = archive.entries().expect("a tar").next().expect("an entry").expect("a header");
                assert_eq!(entry.size(), size);
                assert_eq!(entry.header().uid().expect("a user"), u64::from(id));
                assert_eq!(entry.header().gid().expect("a group"), u64::from(id));
            }
        }
    }

    #[test]
    fn pax_records_count_themselves() {
        for length in 0..2000 {
            let mut record = Vec::new();
            pax_record(b"path", &vec![b'x'; length], &mut record);
            let text = String::from_utf8(record).expect("a record in ASCII");
            let (count, _) = text.split_once(' ').expect("a number before a space");
            assert_eq!(count.parse::<usize>().expect("a number"), text.len());
        }
    }
}
