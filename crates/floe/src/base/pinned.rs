//! Names with a digest: what they stand for can never change.

use floe_destination::SourceName;
use floe_destination::registry::ManifestName;
use floe_image::oci::Digest;

/// The digest in a name; `None` where the name may stand for something else tomorrow.
pub(crate) fn pinned_digest(name: &SourceName) -> Option<Digest> {
    match name {
        SourceName::Registry(reference) => reference.digest(),
        SourceName::OciLayout { entry: Some(ManifestName::Digest(digest)), .. } => Some(*digest),
        SourceName::Archive { name: Some(name), .. } => name.parse().ok(),
        _ => None,
    }
}

/// The same place, asked for a digest. An engine and the record are asked by name: what they answer is compared.
pub(super) fn pinned(name: &SourceName, digest: Digest) -> SourceName {
    match name.clone() {
        SourceName::Registry(reference) => SourceName::Registry(reference.with_digest(digest)),
        SourceName::OciLayout { directory, .. } => {
            SourceName::OciLayout { directory, entry: Some(ManifestName::Digest(digest)) }
        }
        SourceName::Archive { file, format, .. } => {
            SourceName::Archive { file, format, name: Some(digest.to_string()) }
        }
        by_name => by_name,
    }
}
