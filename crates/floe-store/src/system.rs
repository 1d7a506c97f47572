//! The system that a closure runs on, such as `x86_64-linux`, found out from its files.
//!
//! Three witnesses, in this order: the programs in the roots' `bin` (an ELF header cannot lie about the machine, while
//! the derivation of a cross-compiled package names the machine that built it), then the `system` of the roots'
//! derivations where those are in the store, then any ELF file of the roots and of the C library.
//! Every search is bounded in files and bytes.
//!
//! Sources: Nix `derivations.cc`, `parseDerivation` (ATerm); System V ABI, "ELF Header".

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use crate::tree::{TreeSource, Visitor};
use crate::{Closure, PathInfo, StorePath};

/// Bytes of a derivation that are read: the system stands before the environment, where derivations grow.
const DERIVATION_LIMIT: u64 = 16 * 1024 * 1024;

/// Bytes of one tree that are read in search of ELF files.
const TREE_BYTES: u64 = 64 * 1024 * 1024;

/// Nodes of one tree that are looked at.
const TREE_NODES: usize = 20_000;

/// ELF files that are compared; the machine of most of them wins.
const MOST_ELF_FILES: usize = 8;

/// Store paths that are searched by each witness.
const MOST_PATHS: usize = 32;

/// Bytes of an ELF header up to `e_machine`.
const ELF_HEADER: usize = 20;

/// The names of the packages that nearly every closure of programs holds.
const C_LIBRARIES: [&str; 5] = ["glibc", "libc6", "musl", "gcc", "libgcc"];

/// A machine and an operating system as Nix writes them, `<machine>-<system>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct System(String);

/// A text that is no system.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a system: expected <machine>-<operating system>, such as x86_64-linux")]
pub struct ParseSystemError(String);

impl System {
    /// The system as text, such as `x86_64-linux`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The machine, such as `x86_64`.
    #[must_use]
    pub fn machine(&self) -> &str {
        self.0.split_once('-').map_or("", |(machine, _)| machine)
    }

    /// The operating system, such as `linux`.
    #[must_use]
    pub fn operating_system(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, operating_system)| operating_system)
    }
}

impl FromStr for System {
    type Err = ParseSystemError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_word = |word: &str| {
            (1..=32).contains(&word.len())
                && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
        };
        match text.split_once('-') {
            Some((machine, operating_system)) if is_word(machine) && is_word(operating_system) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(ParseSystemError(text.to_owned())),
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Finds out the system of a closure, or `None` when nothing in it tells: scripts and data run anywhere.
///
/// Reads a few files; the same closure always gives the same answer as long as the same derivations
/// are in the store. What cannot be read tells nothing and is no error.
#[must_use]
pub fn system_of(closure: &Closure, trees: &dyn TreeSource) -> Option<System> {
    let roots = || closure.roots().iter().take(MOST_PATHS);
    let c_libraries = || {
        let is_c_library = |info: &&PathInfo| C_LIBRARIES.contains(&info.path.package().name);
        closure.paths().filter(is_c_library).map(|info| &info.path).take(MOST_PATHS)
    };
    roots()
        .find_map(|path| programs_system(path, closure, trees))
        .or_else(|| roots().find_map(|path| deriver_system(closure.info(path)?, trees)))
        .or_else(|| roots().chain(c_libraries()).find_map(|path| Search::default().search(path, trees)))
}

/// The system of the programs in a path's `bin`, or of those that links there lead to.
fn programs_system(path: &StorePath, closure: &Closure, trees: &dyn TreeSource) -> Option<System> {
    let mut search = Search { only_programs: true, ..Search::default() };
    let found = search.search(path, trees);
    found.or_else(|| {
        search.link_targets.iter().find_map(|target| {
            let path = closure.store_dir().containing(target.as_ref()).ok()?;
            closure.info(&path)?;
            Search { only_programs: true, ..Search::default() }.search(&path, trees)
        })
    })
}

/// The system that a path's derivation asks for, when the derivation is in the store.
fn deriver_system(info: &PathInfo, trees: &dyn TreeSource) -> Option<System> {
    let mut contents = SingleFile::default();
    // A derivation is most often not there any more: that is no error, only no answer.
    trees.walk(info.deriver.as_ref()?, &mut contents).ok()?;
    derivation_system(&contents.bytes)
}

/// Reads the system out of a derivation's bytes; `None` for malformed ones and for `builtin`, which runs anywhere.
#[must_use]
pub fn derivation_system(bytes: &[u8]) -> Option<System> {
    let mut term = bytes.strip_prefix(b"Derive(")?;
    // Outputs, input derivations and input sources stand before the system.
    for _ in 0..3 {
        term = skip_list(term)?.strip_prefix(b",")?;
    }
    let (system, _) = string(term)?;
    system.parse().ok()
}

/// Skips one list of an ATerm with all that is nested in it.
fn skip_list(mut term: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_usize;
    loop {
        match term.first()? {
            b'[' | b'(' => depth += 1,
            b']' | b')' => depth = depth.checked_sub(1)?,
            b'"' => {
                term = string(term)?.1;
                continue;
            }
            b',' if depth > 0 => {}
            _ => return None,
        }
        term = &term[1..];
        if depth == 0 {
            return Some(term);
        }
    }
}

/// Reads one quoted string that holds no escape in what is wanted from it, and what follows.
fn string(term: &[u8]) -> Option<(&str, &[u8])> {
    let term = term.strip_prefix(b"\"")?;
    let mut end = 0;
    loop {
        match term.get(end)? {
            b'"' => break,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    // Only paths and systems are read: other bytes than UTF-8 are skipped as nothing.
    Some((std::str::from_utf8(&term[..end]).unwrap_or_default(), &term[end + 1..]))
}

/// Reads the system out of the first bytes of a file; `None` when it is no ELF program or library, or none of Linux.
#[must_use]
pub fn elf_system(bytes: &[u8]) -> Option<System> {
    let header = bytes.get(..ELF_HEADER)?;
    let is_wide = match (header.starts_with(b"\x7fELF"), header[4]) {
        (true, 1) => false,
        (true, 2) => true,
        _ => return None,
    };
    let is_little = match header[5] {
        1 => true,
        2 => false,
        _ => return None,
    };
    // Linux programs are marked as System V's (0) or GNU's (3).
    if !matches!(header[7], 0 | 3) {
        return None;
    }
    let half = |offset: usize| {
        let bytes = [header[offset], header[offset + 1]];
        if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
    };
    // ET_EXEC and ET_DYN; object files and core dumps may be for any machine.
    if !matches!(half(16), 2 | 3) {
        return None;
    }
    let machine = match (half(18), is_wide, is_little) {
        (62, true, true) => "x86_64",
        (3, false, true) => "i686",
        (183, true, true) => "aarch64",
        // The header does not tell armv6l from armv7l; nearly all are the latter.
        (40, false, true) => "armv7l",
        (243, true, true) => "riscv64",
        (243, false, true) => "riscv32",
        (258, true, true) => "loongarch64",
        (21, true, true) => "powerpc64le",
        (21, true, false) => "powerpc64",
        (22, true, false) => "s390x",
        (8, true, true) => "mips64el",
        (8, false, true) => "mipsel",
        _ => return None,
    };
    Some(System(format!("{machine}-linux")))
}

/// A visitor that keeps the bytes of a tree that is one file.
#[derive(Default)]
struct SingleFile {
    bytes: Vec<u8>,
}

impl Visitor for SingleFile {
    fn enter_directory(&mut self, _: &[u8]) -> io::Result<()> {
        Err(io::Error::other("a derivation is a file"))
    }

    fn leave_directory(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn file(&mut self, _: &[u8], _: bool, size: u64, contents: &mut dyn Read) -> io::Result<()> {
        if size > DERIVATION_LIMIT {
            return Err(io::Error::other("a derivation is smaller"));
        }
        contents.read_to_end(&mut self.bytes).map(drop)
    }

    fn symlink(&mut self, _: &[u8], _: &[u8]) -> io::Result<()> {
        Err(io::Error::other("a derivation is a file"))
    }
}

/// A visitor that looks at ELF headers, and ends the walk when it has seen enough.
#[derive(Default)]
struct Search {
    /// Whether only the root node itself and files in `bin` count.
    only_programs: bool,
    nodes: usize,
    bytes: u64,
    systems: Vec<System>,
    /// Where the links in `bin` lead to.
    link_targets: Vec<String>,
}

impl Search {
    fn search(&mut self, path: &StorePath, trees: &dyn TreeSource) -> Option<System> {
        // The walk ends with an error of this visitor's when enough was seen; what was found until then counts.
        drop(trees.walk(path, self));
        let count = |system: &System| self.systems.iter().filter(|other| *other == system).count();
        // The last maximum wins, so the search goes backwards to prefer the file that came first.
        self.systems.iter().rev().max_by_key(|system| count(system)).cloned()
    }

    /// Counts a node, and says whether it can be a program.
    fn node(&mut self, relative: &[u8]) -> io::Result<bool> {
        self.nodes += 1;
        let is_past = self.only_programs && relative > b"bin/\xff".as_slice();
        if is_past || self.nodes > TREE_NODES || self.systems.len() >= MOST_ELF_FILES {
            return Err(io::Error::other("seen enough"));
        }
        Ok(!self.only_programs || relative.is_empty() || relative.starts_with(b"bin/"))
    }
}

impl Visitor for Search {
    fn enter_directory(&mut self, relative: &[u8]) -> io::Result<()> {
        self.node(relative).map(drop)
    }

    fn leave_directory(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn file(
        &mut self,
        relative: &[u8],
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> io::Result<()> {
        let counts = self.node(relative)? && (executable || is_library(relative));
        self.bytes = self.bytes.saturating_add(size);
        if counts && size >= ELF_HEADER as u64 {
            let mut header = [0; ELF_HEADER];
            contents.read_exact(&mut header)?;
            self.systems.extend(elf_system(&header));
        }
        if self.bytes > TREE_BYTES || self.systems.len() >= MOST_ELF_FILES {
            return Err(io::Error::other("seen enough"));
        }
        io::copy(contents, &mut io::sink()).map(drop)
    }

    fn symlink(&mut self, relative: &[u8], target: &[u8]) -> io::Result<()> {
        let counts = self.node(relative)?;
        if counts && self.link_targets.len() < MOST_ELF_FILES {
            // A target that is not UTF-8 is in no store.
            self.link_targets.extend(String::from_utf8(target.to_vec()));
        }
        Ok(())
    }
}

/// Whether a name is that of a shared library: `libx.so`, `libx.so.6`.
fn is_library(relative: &[u8]) -> bool {
    let name = relative.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(class: u8, endianness: u8, machine: u16, kind: u16) -> Vec<u8> {
        let half = |value: u16| if endianness == 2 { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut header = b"\x7fELF".to_vec();
        header.extend([class, endianness, 1, 0]);
        header.extend([0; 8]);
        header.extend(half(kind));
        header.extend(half(machine));
        header
    }

    #[test]
    fn reads_elf_headers() {
        for (header, expected) in [
            (elf(2, 1, 62, 3), Some("x86_64-linux")),
            (elf(2, 1, 183, 2), Some("aarch64-linux")),
            (elf(1, 1, 3, 3), Some("i686-linux")),
            (elf(2, 2, 22, 3), Some("s390x-linux")),
            (elf(2, 1, 243, 3), Some("riscv64-linux")),
            (elf(1, 1, 62, 3), None),
            (elf(2, 1, 62, 1), None),
            (elf(2, 1, 999, 3), None),
            (elf(3, 1, 62, 3), None),
            (b"#!/bin/sh\necho hello hello".to_vec(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(elf_system(&header).as_ref().map(System::as_str), expected, "{header:x?}");
        }
    }

    #[test]
    fn reads_derivations() {
        let outputs = r#"[("out","/nix/store/x","","")]"#;
        for (text, expected) in [
            (
                format!(r#"Derive({outputs},[("/a.drv",["out"])],["/b"],"x86_64-linux","/bin/sh",[],[])"#),
                Some("x86_64-linux"),
            ),
            (
                r#"Derive([("a\"],[","\\","","")],[],[],"aarch64-linux","b",[],[])"#.to_owned(),
                Some("aarch64-linux"),
            ),
            (format!(r#"Derive({outputs},[],[],"builtin","builtin:fetchurl",[],[])"#), None),
            ("Derive([],[],[],".to_owned(), None),
            (r"Derive([],[],[],\".to_owned(), None),
            ("Derive(]".to_owned(), None),
            (r#"Derive(["\"#.to_owned(), None),
            (String::new(), None),
        ] {
            let system = derivation_system(text.as_bytes());
            assert_eq!(system.as_ref().map(System::as_str), expected, "{text}");
        }
    }

    #[test]
    fn splits_a_system() {
        let system: System = "x86_64-linux".parse().expect("a system");
        assert_eq!((system.machine(), system.operating_system()), ("x86_64", "linux"));
        for text in ["", "linux", "-", "x86_64-", "x-linux-gnu", "a b-c"] {
            assert!(text.parse::<System>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
            drop((elf_system(&bytes), derivation_system(&bytes)));
        }

        #[test]
        fn never_panics_on_terms(text in r#"Derive\([\[\](),"\\a]{0,40}"#) {
            drop(derivation_system(text.as_bytes()));
        }
    }
}
