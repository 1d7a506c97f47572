//! Where each file of a tar lies, found by reading headers alone.
//!
//! Reads ustar, pax (`path`, `size`) and GNU (long names, base-256 numbers), which all writers of image archives use.
//! Nothing is unpacked, so a name is only ever compared: `..` and absolute paths lead nowhere. Hostile archives are
//! bounded in the number of entries and in the length of their extensions; links between entries are followed once,
//! since docker writes equal layers as links.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

/// A tar's unit, in bytes.
const BLOCK: u64 = 512;

/// More files than any image archive has: docker allows 127 layers, and writes three files for each.
const MAX_ENTRIES: usize = 100_000;

/// The largest pax or GNU extension that is read, in bytes.
const MAX_EXTENSION: u64 = 1024 * 1024;

/// Where a file's bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Why a tar could not be indexed.
#[derive(Debug)]
pub(super) enum IndexFailure {
    Read(io::Error),
    Malformed(String),
}

impl From<io::Error> for IndexFailure {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

fn malformed<T>(offset: u64, reason: &str) -> Result<T, IndexFailure> {
    Err(IndexFailure::Malformed(format!("{reason} at offset {offset}")))
}

/// What an extension says about the next entry.
#[derive(Default)]
struct Extension {
    path: Option<String>,
    size: Option<u64>,
    link: Option<String>,
}

/// Finds every file of a tar, by its name without a leading `./`; the last of a name counts.
pub(super) fn index(tar: &mut (impl Read + Seek)) -> Result<BTreeMap<String, Span>, IndexFailure> {
    let end = tar.seek(SeekFrom::End(0))?;
    let mut files = BTreeMap::new();
    let mut links = Vec::new();
    let mut extension = Extension::default();
    let mut offset = 0;
    for _ in 0..MAX_ENTRIES {
        if offset == end {
            // Some writers leave out the final zero blocks.
            return Ok(with_links(files, links));
        }
        if end - offset < BLOCK {
            return malformed(offset, "the archive is cut off");
        }
        let mut header = [0; 512];
        tar.seek(SeekFrom::Start(offset))?;
        tar.read_exact(&mut header)?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(with_links(files, links));
        }
        check_sum(&header, offset)?;
        let Some(in_header) = number(&header[124..136]) else {
            return malformed(offset, "the size is no number");
        };
        let kind = header[156];
        let is_extension = matches!(kind, b'x' | b'g' | b'L' | b'K');
        let size = if is_extension { in_header } else { extension.size.unwrap_or(in_header) };
        let data = offset + BLOCK;
        // Links and directories may carry a size, yet have no bytes (POSIX.1-1988).
        let stored = if matches!(kind, b'1'..=b'6') { 0 } else { size };
        if stored > end - data {
            return malformed(offset, "the archive is cut off in an entry");
        }
        if is_extension {
            read_extension(tar, kind, size, offset, &mut extension)?;
        } else {
            let Extension { path, link, .. } = std::mem::take(&mut extension);
            let name = path.unwrap_or_else(|| name_in(&header));
            let name = name.trim_start_matches("./").to_owned();
            match kind {
                b'0' | 0 | b'7' => drop(files.insert(name, Span { offset: data, size })),
                b'1' | b'2' => links.push((name, link.unwrap_or_else(|| text(&header[157..257])))),
                _ => {}
            }
        }
        offset = data + stored.next_multiple_of(BLOCK);
        if offset > end {
            // The last padding may be missing.
            offset = end;
        }
    }
    malformed(offset, "there are too many entries")
}

fn read_extension(
    tar: &mut impl Read,
    kind: u8,
    size: u64,
    offset: u64,
    extension: &mut Extension,
) -> Result<(), IndexFailure> {
    if size > MAX_EXTENSION {
        return malformed(offset, "an extension is too large");
    }
    let mut bytes = Vec::new();
    tar.take(size).read_to_end(&mut bytes)?;
    match kind {
        b'L' => extension.path = Some(text(&bytes)),
        b'K' => extension.link = Some(text(&bytes)),
        b'x' => {
            for (key, value) in pax_records(&bytes) {
                match key {
                    b"path" => extension.path = Some(text(value)),
                    b"linkpath" => extension.link = Some(text(value)),
                    b"size" => {
                        let size = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                        if size.is_none() {
                            return malformed(offset, "the pax size is no number");
                        }
                        extension.size = size;
                    }
                    _ => {}
                }
            }
        }
        // Global extensions carry comments.
        _ => {}
    }
    Ok(())
}

/// Splits `LENGTH KEY=VALUE\n` records by their lengths; a malformed rest is left out.
fn pax_records(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut records = Vec::new();
    loop {
        let Some(space) = bytes.iter().take(20).position(|byte| *byte == b' ') else { return records };
        let length: Option<usize> =
            std::str::from_utf8(&bytes[..space]).ok().and_then(|digits| digits.parse().ok());
        let Some(length) = length.filter(|length| *length > space + 1 && *length <= bytes.len()) else {
            return records;
        };
        let record = &bytes[space + 1..length - 1];
        if let Some(equals) = record.iter().position(|byte| *byte == b'=') {
            records.push((&record[..equals], &record[equals + 1..]));
        }
        bytes = &bytes[length..];
    }
}

/// Adds links that lead to files of the archive, relative to the root or to their own directory.
fn with_links(mut files: BTreeMap<String, Span>, links: Vec<(String, String)>) -> BTreeMap<String, Span> {
    for (name, target) in links {
        let beside = name.rsplit_once('/').map_or_else(String::new, |(directory, _)| format!("{directory}/"));
        // docker writes `../<layer>/layer.tar` into `<layer>/layer.tar`.
        let up = target.trim_start_matches("./").trim_start_matches("../");
        let span =
            [target.as_str(), up, &format!("{beside}{up}")].iter().find_map(|path| files.get(*path).copied());
        if let Some(span) = span {
            files.insert(name, span);
        }
    }
    files
}

fn check_sum(header: &[u8; 512], offset: u64) -> Result<(), IndexFailure> {
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { u64::from(b' ') } else { u64::from(*byte) })
        .sum();
    if number(&header[148..156]) == Some(sum) { Ok(()) } else { malformed(offset, "no tar header") }
}

/// Octal digits, or GNU's base-256 number.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] == 0x80 {
        return field[1..]
            .iter()
            .try_fold(0_u64, |value, byte| value.checked_mul(256).map(|value| value | u64::from(*byte)));
    }
    let digits = field.iter().copied().skip_while(|byte| *byte == b' ');
    let digits = digits.take_while(|byte| !matches!(byte, b' ' | 0));
    let mut value = 0_u64;
    for digit in digits {
        if !(b'0'..=b'7').contains(&digit) {
            return None;
        }
        value = value.checked_mul(8)? + u64::from(digit - b'0');
    }
    Some(value)
}

fn name_in(header: &[u8; 512]) -> String {
    let name = text(&header[..100]);
    let prefix = text(&header[345..500]);
    if &header[257..263] == b"ustar\0" && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

/// The bytes before the first NUL; names that are not UTF-8 match nothing that is looked for.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *content).expect("memory");
        }
        builder.into_inner().expect("memory")
    }

    #[test]
    fn finds_files_of_any_name_length() {
        let long = format!("{}/layer.tar", "d".repeat(150));
        let bytes = tar_of(&[("a", b"one"), (&long, b"two"), ("b", b"")]);
        let files = index(&mut Cursor::new(&bytes)).expect("a tar");
        assert_eq!(files.len(), 3);
        let span = files[&long];
        let start = usize::try_from(span.offset).expect("small");
        assert_eq!(&bytes[start..start + 3], b"two");
    }

    #[test]
    fn follows_links_within_the_archive() {
        let mut builder = tar::Builder::new(tar_of(&[("x/layer.tar", b"one")]));
        builder.get_mut().truncate(1024);
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "y/layer.tar", "../x/layer.tar").expect("memory");
        let files = index(&mut Cursor::new(builder.into_inner().expect("memory"))).expect("a tar");
        assert_eq!(files["y/layer.tar"], files["x/layer.tar"]);
    }

    #[test]
    fn refuses_damaged_archives() {
        let bytes = tar_of(&[("a", &[1; 2000])]);
        for damaged in [&bytes[..100], &bytes[..1000], b"not a tar at all"] {
            assert!(matches!(index(&mut Cursor::new(damaged)), Err(IndexFailure::Malformed(_))));
        }
        let mut huge = bytes.clone();
        huge[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert!(matches!(index(&mut Cursor::new(&huge)), Err(IndexFailure::Malformed(_))));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(at in 0_usize..512, byte: u8, size in proptest::array::uniform12(0_u8..)) {
            let mut bytes = tar_of(&[("a", b"one"), ("b", b"two")]);
            bytes[at] = byte;
            drop(index(&mut Cursor::new(&bytes)));
            bytes[124..136].copy_from_slice(&size);
            bytes[148..156].copy_from_slice(b"        ");
            let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
            bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            drop(index(&mut Cursor::new(&bytes)));
        }
    }
}
