//! Blobs and their uploads: OCI distribution-spec v1.1, Pulling blobs, Pushing blobs.
//!
//! As in distribution, an upload's `Location` carries a state in its query, which says how many bytes have come. A
//! client that builds the URL itself, drops the query or uses an old one is refused; GET gives the current one.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use super::digest::Digest;
use super::registry::{Behaviour, Shared, refusal};
use super::route::Route;
use super::storage::Upload;
use crate::http::server::{Content, Request, Response};

/// Answers a request about one blob.
pub(super) fn blob(shared: &Shared, request: &Request<'_>, route: Route<'_>) -> io::Result<Response> {
    let Some(digest) = Digest::parse(route.reference) else {
        return Ok(refusal(400, "DIGEST_INVALID", route.reference));
    };
    let mut storage = shared.storage();
    if request.method == "DELETE" {
        if !shared.behaviour.delete {
            return Ok(refusal(405, "UNSUPPORTED", "blobs stay"));
        }
        return Ok(match storage.remove_blob(route.name, &digest)? {
            true => Response::new(202),
            false => refusal(404, "BLOB_UNKNOWN", route.reference),
        });
    }
    let size = storage.repositories.get(route.name).and_then(|found| found.blobs.get(&digest)).copied();
    let Some(size) = size else { return Ok(refusal(404, "BLOB_UNKNOWN", route.reference)) };

    let mut file = File::open(storage.blob_path(&digest))?;
    let response = Response::new(200)
        .with_header("Content-Type", "application/octet-stream")
        .with_header("Docker-Content-Digest", digest.to_string())
        .with_header("Accept-Ranges", "bytes");
    let Some(range) = request.headers.find("range") else {
        return Ok(Response { content: Content::File { file, length: size }, ..response });
    };
    let Some((first, last)) = parse_range(range, size) else {
        return Ok(
            refusal(416, "RANGE_INVALID", range).with_header("Content-Range", format!("bytes */{size}"))
        );
    };
    file.seek(SeekFrom::Start(first))?;
    let response = response.with_header("Content-Range", format!("bytes {first}-{last}/{size}"));
    Ok(Response { status: 206, content: Content::File { file, length: last - first + 1 }, ..response })
}

/// Reads `bytes=FIRST-LAST` or `bytes=FIRST-`; both ends count. `None` for anything else and past the end.
fn parse_range(range: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let last = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    (first < size && first <= last).then(|| (first, last.min(size - 1)))
}

/// Answers POST: mounts a blob, takes it whole, or begins its upload.
pub(super) fn begin(shared: &Shared, request: &mut Request<'_>, route: Route<'_>) -> io::Result<Response> {
    let behaviour = shared.behaviour;
    if let (Some(mount), Some(from), true) =
        (request.parameter("mount"), request.parameter("from"), behaviour.mount)
        && let Some(digest) = Digest::parse(mount)
        && shared.storage().mount(&digest, from, route.name)
    {
        return Ok(created(shared, request, route, &digest));
    }
    let (reference, upload) = shared.storage().begin_upload(route.name)?;
    if behaviour.single_post
        && let Some(digest) = request.parameter("digest").map(str::to_owned)
    {
        return finish(shared, request, route, &reference, &upload, &digest);
    }
    let response = Response::new(202)
        .with_header("Location", location(shared, request, route, &reference, 0))
        .with_header("Range", "0-0")
        .with_header("Docker-Upload-UUID", reference);
    Ok(match behaviour.chunk_min_length {
        Some(length) => response.with_header("OCI-Chunk-Min-Length", length.to_string()),
        None => response,
    })
}

/// Answers a request about an upload under way.
pub(super) fn upload(shared: &Shared, request: &mut Request<'_>, route: Route<'_>) -> io::Result<Response> {
    let found = shared.storage().uploads.get(route.reference).cloned();
    let Some(upload) = found else { return Ok(refusal(404, "BLOB_UPLOAD_UNKNOWN", route.reference)) };
    if lock(&upload).repository != route.name {
        return Ok(refusal(404, "BLOB_UPLOAD_UNKNOWN", route.reference));
    }
    match request.method.as_str() {
        "GET" if !shared.behaviour.resume => Ok(refusal(404, "BLOB_UPLOAD_UNKNOWN", "uploads cannot resume")),
        "GET" => Ok(progress(shared, request, route, 204, lock(&upload).length)),
        "DELETE" => {
            shared.storage().uploads.remove(route.reference);
            Ok(Response::new(204))
        }
        "PATCH" => patch(shared, request, route, &upload),
        "PUT" => {
            if let Some(refused) = refuse_state(request, &lock(&upload)) {
                return Ok(refused);
            }
            let Some(digest) = request.parameter("digest").map(str::to_owned) else {
                return Ok(refusal(400, "DIGEST_INVALID", "no digest in the query"));
            };
            finish(shared, request, route, route.reference, &upload, &digest)
        }
        _ => Ok(refusal(405, "UNSUPPORTED", &request.method)),
    }
}

fn patch(
    shared: &Shared,
    request: &mut Request<'_>,
    route: Route<'_>,
    upload: &Mutex<Upload>,
) -> io::Result<Response> {
    let mut upload = lock(upload);
    if let Some(refused) = refuse_state(request, &upload) {
        return Ok(refused);
    }
    let range = request.headers.find("content-range").map(str::to_owned);
    let before = upload.length;
    if let Some(range) = &range {
        let start = range.split_once('-').and_then(|(start, _)| start.parse::<u64>().ok());
        if start != Some(before) {
            return Ok(progress(shared, request, route, 416, before));
        }
    }
    upload.append(&mut request.body)?;
    if range.is_some() && upload.length - before < shared.behaviour.chunk_min_length.unwrap_or(0) {
        return Ok(refusal(400, "SIZE_INVALID", "a chunk below OCI-Chunk-Min-Length"));
    }
    Ok(progress(shared, request, route, 202, upload.length))
}

/// Takes the rest of a blob, checks its digest, and keeps it.
fn finish(
    shared: &Shared,
    request: &mut Request<'_>,
    route: Route<'_>,
    reference: &str,
    upload: &Arc<Mutex<Upload>>,
    digest: &str,
) -> io::Result<Response> {
    let Some(expected) = Digest::parse(digest) else { return Ok(refusal(400, "DIGEST_INVALID", digest)) };
    let mut upload = lock(upload);
    upload.append(&mut request.body)?;
    let actual = shared.storage().finish_upload(reference, &upload, &expected)?;
    if actual != expected {
        return Ok(refusal(400, "DIGEST_INVALID", &format!("the content has the digest {actual}")));
    }
    Ok(created(shared, request, route, &actual))
}

fn created(shared: &Shared, request: &Request<'_>, route: Route<'_>, digest: &Digest) -> Response {
    let path = format!("/v2/{}/blobs/{digest}", route.name);
    Response::new(201)
        .with_header("Location", absolute(shared.behaviour, request, path))
        .with_header("Docker-Content-Digest", digest.to_string())
}

/// How far an upload is. Like distribution, 0 bytes are said as `0-0`, which could also be one.
fn progress(shared: &Shared, request: &Request<'_>, route: Route<'_>, status: u16, length: u64) -> Response {
    Response::new(status)
        .with_header("Location", location(shared, request, route, route.reference, length))
        .with_header("Range", format!("0-{}", length.saturating_sub(1)))
        .with_header("Docker-Upload-UUID", route.reference)
}

fn refuse_state(request: &Request<'_>, upload: &Upload) -> Option<Response> {
    let state = request.parameter("_state").and_then(|state| state.parse::<u64>().ok());
    match state {
        None => Some(refusal(400, "BLOB_UPLOAD_INVALID", "the query of the Location was not sent")),
        Some(state) if state != upload.length => Some(refusal(416, "RANGE_INVALID", "an old Location")),
        Some(_) => None,
    }
}

fn location(
    shared: &Shared,
    request: &Request<'_>,
    route: Route<'_>,
    reference: &str,
    length: u64,
) -> String {
    let path = format!("/v2/{}/blobs/uploads/{reference}?_state={length}", route.name);
    absolute(shared.behaviour, request, path)
}

fn absolute(behaviour: Behaviour, request: &Request<'_>, path: String) -> String {
    match request.headers.find("host") {
        Some(host) if behaviour.absolute_locations => format!("http://{host}{path}"),
        _ => path,
    }
}

fn lock(upload: &Mutex<Upload>) -> std::sync::MutexGuard<'_, Upload> {
    upload.lock().unwrap_or_else(PoisonError::into_inner)
}
