//! Small files that an image holds by value.

use floe_image::layer::Owner;
use floe_image::layer::root_tree::{RootEntry, RootNode};

use super::{BadValue, absolute_path};

/// Permissions of a file where none are given: everyone reads, the owner writes.
const DEFAULT_MODE: u32 = 0o644;

/// Every permission bit: set-user-ID, set-group-ID, sticky, and three times three.
const HIGHEST_MODE: u32 = 0o7777;

/// A small file while its parts come together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RootFile {
    /// Where it stands, absolute.
    pub(crate) path: Option<String>,
    /// What it holds.
    pub(crate) text: Option<Vec<u8>>,
    /// Its permissions.
    pub(crate) mode: Option<u32>,
    /// Who owns it; root where nothing is said.
    pub(crate) owner: Option<Owner>,
}

impl RootFile {
    /// The file as an entry of the image's root.
    ///
    /// # Errors
    /// When the path or the text is missing, or the path is `/`.
    pub(crate) fn entry(self) -> Result<RootEntry, BadValue> {
        let missing = |what: &str| BadValue {
            message: format!("a file has no {what}"),
            expected: format!("`{what}`"),
            hint: Some("a file is written { path = \"/etc/motd\", text = \"hello\\n\" }".to_owned()),
        };
        let path = absolute_path(&self.path.ok_or_else(|| missing("path"))?)?;
        let text = self.text.ok_or_else(|| missing("text"))?;
        if path == "/" {
            return Err(BadValue::new("/", "a file", "a path such as /etc/motd"));
        }
        Ok(RootEntry {
            path: path.trim_start_matches('/').to_owned(),
            mode: self.mode.unwrap_or(DEFAULT_MODE),
            owner: self.owner.unwrap_or_default(),
            node: RootNode::File(text),
        })
    }
}

/// Reads permissions in octal: `0644`, `755`.
pub(crate) fn mode(text: &str) -> Result<u32, BadValue> {
    let is_octal = !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| is_octal && *mode <= HIGHEST_MODE)
        .ok_or_else(|| BadValue::new(text, "a mode", "octal digits such as \"0644\" or \"0755\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_modes() {
        for (text, expected) in [
            ("0644", Some(0o644)),
            ("755", Some(0o755)),
            ("07777", Some(0o7777)),
            ("0888", None),
            ("+7", None),
            ("", None),
            ("10000", None),
        ] {
            assert_eq!(mode(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn makes_entries_from_whole_files_only() {
        let file = RootFile {
            path: Some("/etc/motd".to_owned()),
            text: Some(b"hi\n".to_vec()),
            ..RootFile::default()
        };
        let entry = file.clone().entry().expect("a file");
        assert_eq!((entry.path.as_str(), entry.mode), ("etc/motd", 0o644));
        assert!(RootFile { text: None, ..file.clone() }.entry().is_err());
        assert!(RootFile { path: None, ..file.clone() }.entry().is_err());
        assert!(RootFile { path: Some("/".to_owned()), ..file }.entry().is_err());
    }
}
