//! Which Debian mirror this machine uses, from its own apt sources.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// An error from looking for a Debian mirror.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// A directory or file of apt sources could not be read.
    #[error("cannot read the apt sources in {path}")]
    Read {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No apt source of this machine is a Debian mirror.
    #[error(
        "no Debian mirror among the sources in {directory}: \
         set FLOE_DEBIAN_MIRROR to the address of one, such as a URI that ends in /debian"
    )]
    Absent {
        /// apt's configuration directory.
        directory: PathBuf,
    },
}

/// Returns the URI of the Debian archive, `$FLOE_DEBIAN_MIRROR` or the first one among apt's sources.
///
/// The archive is recognised by its path, `…/debian`; the security archive lies next to it on every mirror
/// that carries both, as `…/debian-security`.
///
/// # Errors
///
/// When the sources cannot be read or hold no Debian archive.
pub fn debian_mirror() -> Result<String, MirrorError> {
    if let Ok(uri) = env::var("FLOE_DEBIAN_MIRROR") {
        return Ok(uri.trim_end_matches('/').to_owned());
    }
    let directory = Path::new("/etc/apt");
    for file in source_files(directory)? {
        let text =
            fs::read_to_string(&file).map_err(|source| MirrorError::Read { path: file.clone(), source })?;
        if let Some(uri) = archive_uri(&text) {
            return Ok(uri.to_owned());
        }
    }
    Err(MirrorError::Absent { directory: directory.to_owned() })
}

/// apt's source files in the order of their names, the oldest form first.
fn source_files(directory: &Path) -> Result<Vec<PathBuf>, MirrorError> {
    let parts = directory.join("sources.list.d");
    let read = |source| MirrorError::Read { path: parts.clone(), source };
    let mut files = Vec::new();
    if parts.is_dir() {
        for entry in fs::read_dir(&parts).map_err(read)? {
            files.push(entry.map_err(read)?.path());
        }
    }
    files.retain(|file| {
        file.extension().is_some_and(|extension| extension == "list" || extension == "sources")
    });
    files.sort();
    let single = directory.join("sources.list");
    if single.is_file() {
        files.insert(0, single);
    }
    Ok(files)
}

/// The first word of a source list that is a URI of a Debian archive (sources.list(5), both forms).
fn archive_uri(text: &str) -> Option<&str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches('/'))
        .find(|word| word.contains("://") && word.ends_with("/debian"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_archive_in_both_forms_of_sources() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(archive_uri(text), expected, "{text}");
        check("deb http://mirror.example/debian bookworm main", Some("http://mirror.example/debian"));
        check("deb [signed-by=/k.gpg] https://m.example/debian/ sid main", Some("https://m.example/debian"));
        check(
            "Types: deb\n# http://old.example/debian\nURIs: http://mirror.example/debian\nSuites: bookworm\n",
            Some("http://mirror.example/debian"),
        );
        check("deb http://mirror.example/debian-security bookworm-security main", None);
        check("deb https://packages.example/apt cloud main", None);
        check("", None);
    }
}
