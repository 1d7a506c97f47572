//! Texts that people and programs write: references, names, digests, `floe.toml`.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use floe_destination::registry::credentials::LoginName;
use floe_destination::{DestinationName, ImageName, SourceName};
use floe_image::oci::{Digest, MediaType, Platform, Reference};
use floe_store::{NarHash, StoreDir, StorePath, installable, nix32};

pub(crate) fn references(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    check::<Reference>(text);
    check::<ImageName>(text);
    check::<DestinationName>(text);
    check::<SourceName>(text);
    check::<LoginName>(text);
}

pub(crate) fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    check::<Digest>(text);
    check::<NarHash>(text);
    check::<StorePath>(text);
    check::<Platform>(text);
    drop(serde_json::from_value::<MediaType>(text.into()));
    let _is_installable = installable::is_installable(text);
    if let Some(decoded) = nix32::decode(text, 20) {
        assert_eq!(nix32::encode(&decoded), text);
    }
    let store_dir = StoreDir::default();
    if let Ok(path) = store_dir.parse(text) {
        assert_eq!(store_dir.full_path(&path), text);
        let _package = (path.hash_part(), path.name(), path.package());
    }
}

pub(crate) fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(problems) = floe::configuration::check(text) {
        assert!(problems.contains("error"), "a refusal says what is wrong: {problems}");
    }
}

/// What is read and written is read again as itself.
fn check<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    let again = written.parse::<T>().ok();
    assert_eq!(again.as_ref(), Some(&value), "'{text}' is written as '{written}'");
}

/// The text of a `floe.lock`.
pub(crate) fn lock(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(floe::base::lock::check(text));
    }
}
