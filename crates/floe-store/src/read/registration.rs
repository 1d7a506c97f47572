//! The registration of a closure: the text that `closureInfo` writes and `nix-store --load-db` reads.
//!
//! For each path, a line each: the path, its NAR hash, its NAR size, its deriver or nothing, the number of
//! references, and the references (Nix `store-api.cc`, `decodeValidPathInfo`). `nix-store --dump-db`
//! writes hashes as bare hex, `closureInfo` as `sha256:<base 32>`; both are read.

use std::collections::BTreeSet;

use crate::{Closure, ClosureError, NarHash, ParseStorePathError, PathInfo, StoreDir, StorePath};

/// Why a text is no registration.
#[derive(Debug, thiserror::Error)]
pub enum ParseRegistrationError {
    /// The text is not UTF-8.
    #[error("a registration is text: byte {offset} is not UTF-8")]
    NotText {
        /// The byte's position.
        offset: usize,
    },
    /// The text ends within an entry; paths would be missing.
    #[error("the registration ends at line {line}: expected {expected}")]
    Ended {
        /// The line that is not there, counted from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// A line holds something else than its place in the entry asks for.
    #[error("line {line} of the registration is '{found}': expected {expected}")]
    BadLine {
        /// The line, counted from 1.
        line: usize,
        /// What it holds.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A path, deriver or reference is no store path.
    #[error("line {line} of the registration is no store path")]
    StorePath {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: ParseStorePathError,
    },
    /// The paths do not form a closure.
    #[error("the registered paths form no closure")]
    NoClosure {
        /// Why not.
        #[source]
        source: ClosureError,
    },
}

/// Parses a registration into a closure. Without `roots`, they are the paths that no other refers to.
///
/// # Errors
/// When the text is malformed, or a root or a reference is not registered in it.
pub fn parse(
    bytes: &[u8],
    store_dir: &StoreDir,
    roots: Option<&[StorePath]>,
) -> Result<Closure, ParseRegistrationError> {
    let infos = parse_infos(bytes, store_dir)?;
    match roots {
        Some(roots) => Closure::new(store_dir.clone(), roots.iter().cloned(), infos),
        None => Closure::of_all(store_dir.clone(), infos),
    }
    .map_err(|source| ParseRegistrationError::NoClosure { source })
}

fn parse_infos(bytes: &[u8], store_dir: &StoreDir) -> Result<Vec<PathInfo>, ParseRegistrationError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| ParseRegistrationError::NotText { offset: error.valid_up_to() })?;
    let mut lines = Lines { lines: text.lines(), line: 0 };
    let mut infos = Vec::new();
    while let Some(path) = lines.next_line() {
        let path = lines.store_path(path, store_dir)?;
        let hash = lines.expect("a NAR hash")?;
        let nar_hash = parse_hash(hash).ok_or_else(|| lines.bad(hash, "a SHA-256 of a NAR"))?;
        let nar_size = lines.number("the bytes of a NAR")?;
        let deriver = match lines.expect("a deriver or an empty line")? {
            "" => None,
            deriver => Some(lines.store_path(deriver, store_dir)?),
        };
        let references = (0..lines.number("a number of references")?)
            .map(|_| {
                let reference = lines.expect("a reference")?;
                lines.store_path(reference, store_dir)
            })
            .collect::<Result<BTreeSet<_>, _>>()?;
        infos.push(PathInfo { path, nar_hash, nar_size, references, deriver, content_address: None });
    }
    Ok(infos)
}

fn parse_hash(text: &str) -> Option<NarHash> {
    if text.contains([':', '-']) { text.parse().ok() } else { format!("sha256:{text}").parse().ok() }
}

struct Lines<'a> {
    lines: std::str::Lines<'a>,
    /// The line read last, counted from 1.
    line: usize,
}

impl<'a> Lines<'a> {
    fn next_line(&mut self) -> Option<&'a str> {
        self.line += 1;
        self.lines.next()
    }

    fn expect(&mut self, expected: &'static str) -> Result<&'a str, ParseRegistrationError> {
        self.next_line().ok_or(ParseRegistrationError::Ended { line: self.line, expected })
    }

    fn number(&mut self, expected: &'static str) -> Result<u64, ParseRegistrationError> {
        let text = self.expect(expected)?;
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_number && i64::try_from(*number).is_ok());
        number.ok_or_else(|| self.bad(text, expected))
    }

    fn store_path(&self, text: &str, store_dir: &StoreDir) -> Result<StorePath, ParseRegistrationError> {
        store_dir.parse(text).map_err(|source| ParseRegistrationError::StorePath { line: self.line, source })
    }

    fn bad(&self, found: &str, expected: &'static str) -> ParseRegistrationError {
        ParseRegistrationError::BadLine { line: self.line, found: found.to_owned(), expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-app";
    const LIBRARY: &str = "/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-library";
    const BASE32: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_both_ways_of_writing_hashes() {
        let deriver = "/nix/store/dddddddddddddddddddddddddddddddd-app.drv";
        let text =
            format!("{APP}\n{BASE32}\n120\n{deriver}\n2\n{LIBRARY}\n{APP}\n{LIBRARY}\n{HEX}\n96\n\n0\n");
        let closure = parse(text.as_bytes(), &StoreDir::default(), None).expect("a registration");
        assert_eq!(closure.roots().len(), 1);
        assert_eq!(closure.roots()[0].name(), "app");
        assert_eq!((closure.len(), closure.nar_size()), (2, 216));
        let [app, library] = &closure.paths().collect::<Vec<_>>()[..] else { panic!("two paths") };
        assert_eq!(app.nar_hash, library.nar_hash);
        assert_eq!(app.deriver.as_ref().map(StorePath::name), Some("app.drv"));
        let given = parse(text.as_bytes(), &StoreDir::default(), Some(std::slice::from_ref(&library.path)));
        assert_eq!(given.expect("a registration").len(), 1);
        assert!(parse(b"", &StoreDir::default(), None).expect("nothing").is_empty());
    }

    #[test]
    fn names_the_line_at_fault() {
        for (text, expected) in [
            (format!("{APP}\n"), "ends at line 2: expected a NAR hash"),
            (format!("{APP}\n{BASE32}\n-1\n\n0\n"), "line 3 of the registration is '-1'"),
            (format!("{APP}\n{BASE32}\n1\n\n99999999999999999999\n"), "line 5"),
            (format!("{APP}\n{BASE32}\n1\n\n1\n"), "ends at line 6: expected a reference"),
            (format!("{APP}\nmd5:00\n1\n\n0\n"), "line 2"),
            ("/etc/passwd\n".to_owned(), "line 1 of the registration is no store path"),
            (format!("{APP}\n{BASE32}\n1\n\n1\n{LIBRARY}\n"), "form no closure"),
        ] {
            let error = parse(text.as_bytes(), &StoreDir::default(), None).expect_err(expected);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            drop(parse(&bytes, &StoreDir::default(), None));
        }

        #[test]
        fn never_panics_on_lines(lines in proptest::collection::vec(
            proptest::sample::select(vec![APP, LIBRARY, BASE32, HEX, "", "0", "1", "2", "18446744073709551615"]), 0..20,
        )) {
            drop(parse(lines.join("\n").as_bytes(), &StoreDir::default(), None));
        }
    }
}
