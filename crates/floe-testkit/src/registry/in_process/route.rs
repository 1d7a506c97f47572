//! From a request's path to what it is about: OCI distribution-spec v1.1, Endpoints.

/// The kind of thing that a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `/v2/`: whether there is a registry, and how it authenticates (end-1).
    Base,
    /// `/v2/<name>/blobs/<digest>` (end-2, end-10).
    Blob,
    /// `/v2/<name>/blobs/uploads/`: begins an upload, or mounts a blob (end-4, end-11).
    Uploads,
    /// `/v2/<name>/blobs/uploads/<reference>`: an upload under way (end-5, end-6, end-13).
    Upload,
    /// `/v2/<name>/manifests/<reference>` (end-3, end-7, end-9).
    Manifest,
    /// `/v2/<name>/tags/list` (end-8).
    Tags,
    /// `/v2/<name>/referrers/<digest>` (end-12).
    Referrers,
    /// Anything else.
    Unknown,
}

/// A path, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) endpoint: Endpoint,
    /// The repository's name, `<name>`.
    pub(super) name: &'a str,
    /// The digest, tag or upload that the path ends with; empty where there is none.
    pub(super) reference: &'a str,
}

impl<'a> Route<'a> {
    /// Takes a path apart from its end, since a repository's name may hold any of the endpoints' words.
    pub(super) fn of(path: &'a str) -> Self {
        const UNKNOWN: Route<'_> = Route { endpoint: Endpoint::Unknown, name: "", reference: "" };
        let Some(rest) = path.strip_prefix("/v2/") else {
            return if path == "/v2" { Self { endpoint: Endpoint::Base, ..UNKNOWN } } else { UNKNOWN };
        };
        if rest.is_empty() {
            return Self { endpoint: Endpoint::Base, ..UNKNOWN };
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Self { endpoint: Endpoint::Tags, name, reference: "" }.checked();
        }
        if let Some(name) = rest.strip_suffix("/blobs/uploads/").or(rest.strip_suffix("/blobs/uploads")) {
            return Self { endpoint: Endpoint::Uploads, name, reference: "" }.checked();
        }
        let Some((front, reference)) = rest.rsplit_once('/') else { return UNKNOWN };
        let endpoints = [
            ("/blobs/uploads", Endpoint::Upload),
            ("/blobs", Endpoint::Blob),
            ("/manifests", Endpoint::Manifest),
            ("/referrers", Endpoint::Referrers),
        ];
        for (suffix, endpoint) in endpoints {
            if let Some(name) = front.strip_suffix(suffix) {
                return Self { endpoint, name, reference }.checked();
            }
        }
        UNKNOWN
    }

    /// A name is `[a-z0-9]+([._-]…)*` parts between slashes; this checks the letters and that no part is empty.
    fn checked(self) -> Self {
        let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/');
        let sound = self.name.bytes().all(allowed) && self.name.split('/').all(|part| !part.is_empty());
        Self { endpoint: if sound { self.endpoint } else { Endpoint::Unknown }, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, endpoint: Endpoint, name: &str, reference: &str) {
        assert_eq!(Route::of(path), Route { endpoint, name, reference }, "{path}");
    }

    #[test]
    fn names_may_hold_the_words_of_endpoints() {
        check("/v2/", Endpoint::Base, "", "");
        check("/v2", Endpoint::Base, "", "");
        check("/v1/", Endpoint::Unknown, "", "");
        check("/v2/a/b/blobs/sha256:00", Endpoint::Blob, "a/b", "sha256:00");
        check("/v2/blobs/blobs/uploads/", Endpoint::Uploads, "blobs", "");
        check("/v2/a/blobs/uploads/7", Endpoint::Upload, "a", "7");
        check("/v2/tags/list/tags/list", Endpoint::Tags, "tags/list", "");
        check("/v2/manifests/manifests/latest", Endpoint::Manifest, "manifests", "latest");
        check("/v2/a/referrers/sha256:00", Endpoint::Referrers, "a", "sha256:00");
        check("/v2/A/manifests/latest", Endpoint::Unknown, "A", "latest");
        check("/v2/a//b/manifests/latest", Endpoint::Unknown, "a//b", "latest");
    }
}
