//! The running registry: it takes requests, applies faults, answers, and keeps the log.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::json;

use super::digest::Digest;
use super::fault::Rule;
use super::route::Route;
use super::storage::Storage;
use super::{Endpoint, Fault, Incoming, Request, blobs, manifests};
use crate::http::server::{Request as HttpRequest, Response, Server};
use crate::registry::distribution::RegistryError;
use crate::service::directory::Directory;

/// Where registries differ. The default has everything that the specification allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether it has the referrers API; without it, `OCI-Subject` is not sent either.
    pub referrers: bool,
    /// Whether a POST with `mount` and `from` mounts; otherwise it begins an upload.
    pub mount: bool,
    /// Whether a POST with `digest` and the whole blob is taken; otherwise it begins an upload.
    pub single_post: bool,
    /// Whether GET on an upload tells how far it came; otherwise it is a 404.
    pub resume: bool,
    /// Whether blobs, manifests and tags can be deleted.
    pub delete: bool,
    /// Whether a `Location` is a whole URL; otherwise it is a path.
    pub absolute_locations: bool,
    /// The least length in bytes of a chunk with `Content-Range`, sent as `OCI-Chunk-Min-Length`.
    pub chunk_min_length: Option<u64>,
    /// The most tags in one response.
    pub page_size: Option<usize>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            referrers: true,
            mount: true,
            single_post: true,
            resume: true,
            delete: true,
            absolute_locations: true,
            chunk_min_length: None,
            page_size: None,
        }
    }
}

/// A running registry in this process. Dropping it closes its connections and removes its blobs.
#[derive(Debug)]
pub struct Registry {
    // Invariant: declared first, so that no request runs any more when the storage goes.
    server: Server,
    shared: Arc<Shared>,
}

/// What all requests share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) behaviour: Behaviour,
    storage: Mutex<Storage>,
    log: Mutex<Log>,
    rule: Mutex<Arc<Rule>>,
}

#[derive(Debug, Default)]
struct Log {
    ended: Vec<Request>,
    /// The method and endpoint of each request since the rule was set, for [`Incoming::earlier`].
    begun: Vec<(String, Endpoint)>,
}

impl Shared {
    pub(super) fn storage(&self) -> MutexGuard<'_, Storage> {
        lock(&self.storage)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A request that panicked fails its own test; the others may go on with what it left.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Starts an empty registry with the default [`Behaviour`].
    ///
    /// # Errors
    ///
    /// [`RegistryError`] when there is no room for blobs or no port.
    pub fn start() -> Result<Self, RegistryError> {
        Self::with(Behaviour::default())
    }

    /// Starts an empty registry.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn with(behaviour: Behaviour) -> Result<Self, RegistryError> {
        let shared = Arc::new(Shared {
            behaviour,
            storage: Mutex::new(Storage::new(Directory::new("blobs")?)),
            log: Mutex::default(),
            rule: Mutex::default(),
        });
        let answering = Arc::clone(&shared);
        let server =
            Server::start(move |request| serve(&answering, request)).map_err(RegistryError::Listen)?;
        Ok(Self { server, shared })
    }

    /// Where the registry listens, with HTTP.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The registry's host as in an image reference: `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address().to_string()
    }

    /// All requests that have ended, in the order of their ends.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.log).ended.clone()
    }

    /// How many requests of this method and endpoint have ended.
    pub fn count(&self, method: &str, endpoint: Endpoint) -> usize {
        let log = lock(&self.shared.log);
        log.ended.iter().filter(|request| request.method == method && request.endpoint == endpoint).count()
    }

    /// Empties the log, to begin the next part of a test.
    pub fn clear_requests(&self) {
        lock(&self.shared.log).ended.clear();
    }

    /// Sets the rule that decides what goes wrong with each request from now on; several threads ask it at once.
    pub fn set_faults(&self, rule: impl Fn(&Incoming<'_>) -> Fault + Send + Sync + 'static) {
        lock(&self.shared.log).begun.clear();
        *lock(&self.shared.rule) = Arc::new(Rule::new(rule));
    }

    /// Lets everything go well from now on.
    pub fn clear_faults(&self) {
        self.set_faults(|_| Fault::None);
    }

    /// The bytes of a manifest or index, by tag or digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Vec<u8>> {
        let storage = self.shared.storage();
        storage.repositories.get(repository)?.find(reference).map(|(_, manifest)| manifest.content.clone())
    }

    /// The bytes of a blob of a repository; `None` too when the digest is none.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Vec<u8>> {
        let storage = self.shared.storage();
        let digest = Digest::parse(digest)?;
        storage.repositories.get(repository)?.blobs.get(&digest)?;
        fs::read(storage.blob_path(&digest)).ok()
    }

    /// A repository's tags, sorted; none for a repository that does not exist.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let storage = self.shared.storage();
        storage
            .repositories
            .get(repository)
            .map(|found| found.tags.keys().cloned().collect())
            .unwrap_or_default()
    }
}

/// Answers one request and logs it; `None` cuts the connection.
fn serve(shared: &Shared, request: &mut HttpRequest<'_>) -> Option<Response> {
    let path = request.path.clone();
    let route = Route::of(&path);
    let fault = decide(shared, request, route.endpoint);
    let response = match fault {
        Fault::Status { status, retry_after } => {
            let response = refusal(status, "TOOMANYREQUESTS", "a fault that the test asked for");
            Some(match retry_after {
                Some(seconds) => response.with_header("Retry-After", seconds.to_string()),
                None => response,
            })
        }
        _ => {
            match fault {
                Fault::Delay(duration) => thread::sleep(duration),
                Fault::CutRequest { after } => request.body.cut_after(after),
                _ => {}
            }
            answer(shared, request, route)
        }
    };
    let response = match fault {
        Fault::LoseResponse => None,
        Fault::CutResponse { after } => {
            response.map(|response| Response { cut_after: Some(after), ..response })
        }
        _ => response,
    };
    lock(&shared.log).ended.push(Request {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        endpoint: route.endpoint,
        status: response.as_ref().map(|response| response.status),
        body_len: request.body.bytes_read(),
        response_len: response.as_ref().map_or(0, Response::length),
    });
    response
}

fn decide(shared: &Shared, request: &HttpRequest<'_>, endpoint: Endpoint) -> Fault {
    let key = (request.method.clone(), endpoint);
    let mut log = lock(&shared.log);
    let earlier = log.begun.iter().filter(|begun| **begun == key).count();
    log.begun.push(key);
    drop(log);
    // Cloned out of its lock: a slow rule holds up no other request.
    let rule = Arc::clone(&lock(&shared.rule));
    rule.decide(&Incoming { method: &request.method, path: &request.path, endpoint, earlier })
}

/// Answers one request; `None` when its body broke off.
fn answer(shared: &Shared, request: &mut HttpRequest<'_>, route: Route<'_>) -> Option<Response> {
    let answered = match (route.endpoint, request.method.as_str()) {
        (Endpoint::Base, "GET" | "HEAD") => Ok(Response::new(200).with_content("application/json", "{}")),
        (Endpoint::Blob, "GET" | "HEAD" | "DELETE") => blobs::blob(shared, request, route),
        (Endpoint::Uploads, "POST") => blobs::begin(shared, request, route),
        (Endpoint::Upload, _) => blobs::upload(shared, request, route),
        (Endpoint::Manifest, _) => manifests::manifest(shared, request, route),
        (Endpoint::Tags, "GET") => Ok(manifests::tags(shared, request, route)),
        (Endpoint::Referrers, "GET") => Ok(manifests::referrers(shared, request, route)),
        (Endpoint::Unknown, _) => Ok(refusal(404, "NAME_INVALID", &request.path)),
        _ => Ok(refusal(405, "UNSUPPORTED", &request.method)),
    };
    match answered {
        Ok(response) => Some(response.with_header("Docker-Distribution-API-Version", "registry/2.0")),
        Err(error) if is_broken_body(&error) => None,
        Err(error) => Some(refusal(500, "UNKNOWN", &error.to_string())),
    }
}

fn is_broken_body(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, InvalidData, UnexpectedEof, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | InvalidData | UnexpectedEof | WouldBlock)
}

/// An error body: OCI distribution-spec v1.1, Error codes.
pub(super) fn refusal(status: u16, code: &str, detail: &str) -> Response {
    let body = json!({ "errors": [{ "code": code, "message": code.to_lowercase(), "detail": detail }] });
    Response::new(status).with_content("application/json", body.to_string())
}
