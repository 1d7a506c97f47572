//! An OCI layout is an image in a directory (OCI image-spec v1.1, image-layout.md): `oci-layout`, `index.json`,
//! `blobs/sha256/…`.
//!
//! [`OciLayoutDestination`] writes one, [`OciLayout`] reads one.

mod destination;
mod source;

pub use destination::OciLayoutDestination;
pub use source::{OciLayout, OpenLayoutError, ResolveError};

pub(crate) use destination::{REFERENCE_NAME, index_entry, layout_bytes};
pub(crate) use source::{full_name, resolve};
