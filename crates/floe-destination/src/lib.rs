//! Where images go and where they come from: layouts, archives, engines, registries.
//!
//! The user writes a [`DestinationName`]; it becomes a [`Destination`], whose sink takes blobs while they are
//! packed and which then makes the image appear, whole. What can be read is written as a [`SourceName`] and becomes an
//! [`ImageSource`], from which [`Manifests`] and [`Documents`] are read. Nothing here knows Nix.

#![forbid(unsafe_code)]

mod archive;
mod cache;
mod copy;
mod destination;
mod destination_name;
mod documents;
pub mod engine;
mod fan_out;
mod image_name;
mod joined_source;
mod manifests;
mod oci_layout;
mod parallel;
mod record;
pub mod registry;
mod source;
mod source_name;
mod staging;
mod verify;

pub use archive::{Archive, ArchiveDestination, ArchiveFormat, OpenArchiveError};
pub use cache::{BlobCache, OpenCacheError};
pub use copy::{BlobObserver, CopyObserver, copy, keep};
pub use destination::{DeliverError, Delivered, Destination, Either};
pub use destination_name::{DestinationName, ParseDestinationError};
pub use documents::{Documents, MAX_DOCUMENT, ReadDocumentsError, read_bytes};
pub use engine::{EngineError, EngineKind};
pub use fan_out::FanOut;
pub use image_name::{ImageName, ParseImageNameError, RepositoryName};
pub use joined_source::{JoinError, JoinedSource};
pub use manifests::{ManifestDocument, Manifests, ParsedManifest, SamePlatformError, Selection};
pub use oci_layout::{OciLayout, OciLayoutDestination, OpenLayoutError, ResolveError};
pub use record::{
    Generation, GenerationEntry, History, LockedRecord, ParseRecordedNameError, Record, RecordError,
    RecordedName, RemoveGenerationError, Stray, Version1,
};
pub use source::{ImageSource, OpenSourceError};
pub use source_name::{ParseSourceError, SourceName};
pub use staging::abandoned;
