//! An archive is an OCI layout in a tar, alone or as the hybrid that `docker load` reads too.
//!
//! The hybrid has docker's `manifest.json` beside `index.json` and names the same blobs in both, so that docker,
//! podman, containerd and skopeo all load it. The outer tar is compressed, with gzip, only where the file is called so:
//! docker and podman disagree about which other compression they read. Found by trial: docker 20.10 loads the hybrid but
//! no plain OCI archive, and fails on layers in zstd; podman 4.3 and containerd 1.6 read the OCI side of a hybrid and
//! take everything.
//!
//! Names, by trial with an archive of `app:1.0` (`RepoTags` `app:1.0`, `io.containerd.image.name`
//! `docker.io/library/app:1.0`, `org.opencontainers.image.ref.name` `1.0`): docker lists `app:1.0`, podman and
//! containerd `docker.io/library/app:1.0`; podman and docker find it as `app:1.0`. podman alone would rather say
//! `localhost/app:1.0`, so what is loaded into podman directly is written that way; see [`crate::ImageName`].

mod destination;
mod gzip;
mod plain;
mod source;
mod tar_index;
mod tar_writer;
mod writer;

pub use destination::ArchiveDestination;
pub use source::{Archive, OpenArchiveError};
pub use writer::ArchiveFormat;

pub(crate) use writer::{ArchiveContents, ArchiveNames, ArchiveWriter, WriteFailure};
