//! Files that hold one value, as orchestrators mount secrets: what `<NAME>_FILE` names.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

/// The largest value: what Linux passes to a program as one string (execve(2)), less a name.
const LARGEST: u64 = 128 * 1024 - 256;

/// Reads a value: all of the file but one newline at its end. The error says what is wrong with the file.
pub(super) fn read(file: &Path) -> Result<OsString, String> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("{} is larger than {LARGEST} bytes", file.display()));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.contains(&0) {
        return Err(format!("{} holds a NUL byte, which no variable can", file.display()));
    }
    Ok(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_one_newline_and_refuses_nul() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("secret");
        for (content, expected) in [
            (&b"word"[..], Ok("word")),
            (b"word\n", Ok("word")),
            (b"two\n\n", Ok("two\n")),
            (b"\n", Ok("")),
            (b"crlf\r\n", Ok("crlf\r")),
            (b"a\0b", Err("NUL")),
        ] {
            std::fs::write(&file, content).expect("a file");
            match (read(&file), expected) {
                (Ok(value), Ok(expected)) => assert_eq!(value, expected),
                (Err(error), Err(expected)) => assert!(error.contains(expected) && !error.contains("a\0b")),
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        }
        std::fs::write(&file, vec![b'x'; 200_000]).expect("a file");
        assert!(read(&file).expect_err("too large").contains("larger"));
        assert!(read(&folder.path().join("none")).expect_err("not there").contains("cannot read"));
    }
}
