//! Layouts, archives and engines from outside: real readers, real engines, crashes. Needs Debian 12 as root, with podman,
//! docker, containerd, skopeo, umoci and busybox; a missing program fails with the package's name.

mod archives;
mod conformance;
mod crashes;
mod engines;
mod image;
mod indexes;
mod layouts;
mod roles;
mod sources;
