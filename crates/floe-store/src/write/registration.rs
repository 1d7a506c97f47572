//! A registration, written: the text that `nix-store --load-db` and [`crate::read::registration`] read.
//!
//! Form: Nix `store-api.cc`, `decodeValidPathInfo`. It has no place for a content address, so Nix takes a path
//! that comes by way of it for one that was built.

use std::fmt::Write as _;

use crate::{PathInfo, StoreDir};

/// Writes the registration of paths, sorted by base name and each once; nothing for no paths.
#[must_use]
pub fn text<'infos>(store_dir: &StoreDir, infos: impl IntoIterator<Item = &'infos PathInfo>) -> String {
    let mut text = String::new();
    for info in super::database::in_order(infos) {
        let deriver = info.deriver.as_ref().map(|deriver| store_dir.full_path(deriver)).unwrap_or_default();
        let head = [
            store_dir.full_path(&info.path),
            info.nar_hash.to_string(),
            info.nar_size.to_string(),
            deriver,
            info.references.len().to_string(),
        ];
        let references = info.references.iter().map(|reference| store_dir.full_path(reference));
        for line in head.into_iter().chain(references) {
            writeln!(text, "{line}").expect("a String takes any text");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::registration::parse;
    use crate::{NarHash, StorePath};

    fn path(letter: &str) -> StorePath {
        format!("{}-{letter}", letter.repeat(32)).parse().expect("a well-formed path")
    }

    #[test]
    fn is_read_back_as_it_was() {
        let info = |name: &str, references: &[&str]| PathInfo {
            path: path(name),
            nar_hash: NarHash::from_bytes([7; 32]),
            nar_size: 120,
            references: references.iter().map(|name| path(name)).collect(),
            deriver: (name == "a").then(|| path("d")),
            content_address: None,
        };
        let infos = [info("b", &[]), info("a", &["b", "a"]), info("b", &[])];
        let text = text(&StoreDir::default(), &infos);
        let closure = parse(text.as_bytes(), &StoreDir::default(), None).expect("a registration");
        assert_eq!(closure.paths().collect::<Vec<_>>(), [&infos[1], &infos[0]]);
        assert_eq!(super::text(&StoreDir::default(), []), "");
    }
}
