//! Manifests, tags and referrers: OCI distribution-spec v1.1, Pulling manifests, Pushing manifests, Content
//! discovery, Listing referrers.

use std::io::{self, Read as _};

use serde_json::{Value, json};

use super::digest::Digest;
use super::registry::{Shared, refusal};
use super::route::Route;
use super::storage::{Manifest, Repository};
use crate::http::server::{Request, Response};

/// The least that a registry should take, and what most take at most: distribution-spec v1.1, Pushing manifests.
const MAX_MANIFEST: u64 = 4 << 20;

/// Answers a request about a manifest.
pub(super) fn manifest(shared: &Shared, request: &mut Request<'_>, route: Route<'_>) -> io::Result<Response> {
    match request.method.as_str() {
        "GET" | "HEAD" => {
            let storage = shared.storage();
            let found = storage.repositories.get(route.name).and_then(|found| found.find(route.reference));
            Ok(match found {
                Some((digest, manifest)) => Response::new(200)
                    .with_content(&manifest.media_type, manifest.content.clone())
                    .with_header("Docker-Content-Digest", digest.to_string()),
                None => refusal(404, "MANIFEST_UNKNOWN", route.reference),
            })
        }
        "PUT" => put(shared, request, route),
        "DELETE" if shared.behaviour.delete => Ok(delete(shared, route)),
        _ => Ok(refusal(405, "UNSUPPORTED", &request.method)),
    }
}

fn put(shared: &Shared, request: &mut Request<'_>, route: Route<'_>) -> io::Result<Response> {
    let mut content = Vec::new();
    (&mut request.body).take(MAX_MANIFEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_MANIFEST {
        return Ok(refusal(413, "SIZE_INVALID", "a manifest of more than 4 MiB"));
    }
    let digest = Digest::of(&content);
    if route.reference.contains(':') && Digest::parse(route.reference) != Some(digest) {
        return Ok(refusal(400, "DIGEST_INVALID", &format!("the content has the digest {digest}")));
    }
    let Ok(value) = serde_json::from_slice::<Value>(&content) else {
        return Ok(refusal(400, "MANIFEST_INVALID", "not JSON"));
    };
    let Some(media_type) = request.headers.find("content-type").map(str::to_owned) else {
        return Ok(refusal(400, "MANIFEST_INVALID", "no Content-Type"));
    };
    if value["mediaType"].as_str().is_some_and(|inner| inner != media_type) {
        return Ok(refusal(400, "MANIFEST_INVALID", "the Content-Type is not the manifest's mediaType"));
    }
    let subject = value["subject"]["digest"].as_str().and_then(Digest::parse);

    let mut storage = shared.storage();
    let repository = storage.repositories.entry(route.name.to_owned()).or_default();
    if let Err(missing) = check_contents(repository, &value) {
        return Ok(refusal(400, "MANIFEST_BLOB_UNKNOWN", &missing));
    }
    repository.manifests.insert(digest, Manifest { media_type, content, subject });
    if !route.reference.contains(':') {
        repository.tags.insert(route.reference.to_owned(), digest);
    }
    let response = Response::new(201)
        .with_header("Location", format!("/v2/{}/manifests/{digest}", route.name))
        .with_header("Docker-Content-Digest", digest.to_string());
    Ok(match subject {
        Some(subject) if shared.behaviour.referrers => {
            response.with_header("OCI-Subject", subject.to_string())
        }
        _ => response,
    })
}

/// Checks that everything that a manifest or index names is here, with the size that it says.
///
/// A `subject` may be missing, and so may layers that come from elsewhere (`urls`).
fn check_contents(repository: &Repository, value: &Value) -> Result<(), String> {
    let list = |field: &str| value[field].as_array().into_iter().flatten();
    let blobs = value.get("config").into_iter().chain(list("layers").filter(|layer| layer["urls"].is_null()));
    let blobs = blobs.map(|descriptor| (descriptor, true));
    for (descriptor, is_blob) in blobs.chain(list("manifests").map(|descriptor| (descriptor, false))) {
        let Some(digest) = descriptor["digest"].as_str().and_then(Digest::parse) else {
            return Err(format!("no digest in {descriptor}"));
        };
        let size = match is_blob {
            true => repository.blobs.get(&digest).copied(),
            false => repository.manifests.get(&digest).map(|manifest| manifest.content.len() as u64),
        };
        match size {
            None => return Err(digest.to_string()),
            Some(size) if descriptor["size"].as_u64() != Some(size) => {
                return Err(format!("{digest} has {size} bytes, not {}", descriptor["size"]));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn delete(shared: &Shared, route: Route<'_>) -> Response {
    let mut storage = shared.storage();
    let repository = storage.repositories.get_mut(route.name);
    let removed = repository.is_some_and(|repository| match Digest::parse(route.reference) {
        Some(digest) => {
            repository.tags.retain(|_, tagged| *tagged != digest);
            repository.manifests.remove(&digest).is_some()
        }
        None => repository.tags.remove(route.reference).is_some(),
    });
    if removed { Response::new(202) } else { refusal(404, "MANIFEST_UNKNOWN", route.reference) }
}

/// Answers `tags/list`: all tags in order, or a page of them with a `Link` to the next.
pub(super) fn tags(shared: &Shared, request: &Request<'_>, route: Route<'_>) -> Response {
    let storage = shared.storage();
    let Some(repository) = storage.repositories.get(route.name) else {
        return refusal(404, "NAME_UNKNOWN", route.name);
    };
    let last = request.parameter("last").unwrap_or_default();
    let following: Vec<&String> = repository.tags.keys().filter(|tag| tag.as_str() > last).collect();
    let wanted = request.parameter("n").and_then(|n| n.parse::<usize>().ok()).unwrap_or(usize::MAX);
    let limit = shared.behaviour.page_size.unwrap_or(usize::MAX).min(wanted).min(following.len());
    let (page, rest) = following.split_at(limit);
    let body = json!({ "name": route.name, "tags": page });
    let response = Response::new(200).with_content("application/json", body.to_string());
    match page.last() {
        Some(last) if !rest.is_empty() => {
            let next = format!("</v2/{}/tags/list?n={limit}&last={last}>; rel=\"next\"", route.name);
            response.with_header("Link", next)
        }
        _ => response,
    }
}

/// Answers `referrers`: an index of the manifests whose `subject` this is, sorted by digest.
pub(super) fn referrers(shared: &Shared, request: &Request<'_>, route: Route<'_>) -> Response {
    if !shared.behaviour.referrers {
        return refusal(404, "UNSUPPORTED", "no referrers API");
    }
    let Some(subject) = Digest::parse(route.reference) else {
        return refusal(400, "DIGEST_INVALID", route.reference);
    };
    let wanted = request.parameter("artifactType");
    let storage = shared.storage();
    let repository = storage.repositories.get(route.name);
    let manifests = repository.into_iter().flat_map(|repository| &repository.manifests);
    let descriptors: Vec<Value> = manifests
        .filter(|(_, manifest)| manifest.subject == Some(subject))
        .map(|(digest, manifest)| describe(digest, manifest))
        .filter(|descriptor| wanted.is_none_or(|wanted| descriptor["artifactType"] == wanted))
        .collect();
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": descriptors });
    let response = Response::new(200).with_content(media_type, index.to_string());
    if wanted.is_some() { response.with_header("OCI-Filters-Applied", "artifactType") } else { response }
}

/// A referrer's descriptor: its `artifactType` is the config's media type where it has none of its own, and its
/// annotations come along.
fn describe(digest: &Digest, manifest: &Manifest) -> Value {
    let value: Value = serde_json::from_slice(&manifest.content).unwrap_or_default();
    let mut descriptor = json!({
        "mediaType": manifest.media_type,
        "digest": digest.to_string(),
        "size": manifest.content.len(),
    });
    let own = value["artifactType"].as_str().filter(|own| !own.is_empty());
    if let Some(artifact_type) = own.or(value["config"]["mediaType"].as_str()) {
        descriptor["artifactType"] = artifact_type.into();
    }
    if let Some(annotations) = value.get("annotations") {
        descriptor["annotations"] = annotations.clone();
    }
    descriptor
}
