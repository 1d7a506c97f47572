//! The requests of one upload: begun, sent, taken up again, committed, or cancelled.
//!
//! OCI distribution-spec v1.1, "Pushing blobs". A blob of known digest is one POST and one PUT ("POST then PUT"); one of
//! unknown digest a POST, a single streaming PATCH without `Content-Range`, and an empty PUT. There are never several
//! chunks, so `OCI-Chunk-Min-Length` is kept to: what is sent after a break is always the last chunk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use floe_image::oci::{Descriptor, Digest};
use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::auth::Scope;
use super::blob_upload::{UploadError, abandoned, blob_name, is_spoilt, place_name};
use super::client::Place;
use super::exchange::{Answer, Call, Line, SMALL_ANSWER};
use super::response::{ExchangeError, read_bounded, refusal};
use super::shared::Shared;
use super::upload_feed::Feed;

/// How often a running upload is looked at.
const TICK: Duration = Duration::from_millis(500);

/// The upload as its own thread sees it.
pub(super) struct Uploading {
    pub(super) place: Place,
    pub(super) known: Option<Descriptor>,
    pub(super) feed: Arc<Feed>,
}

/// An upload that has begun.
struct Standing {
    location: Url,
    offset: u64,
}

impl Uploading {
    pub(super) async fn run(self, shared: &Shared, location: Option<Url>) -> Result<Url, UploadError> {
        let line = self.place.line(shared);
        let result = self.send(&line, location).await;
        self.feed.close();
        result
    }

    async fn send(&self, line: &Line<'_>, location: Option<Url>) -> Result<Url, UploadError> {
        let (blob, place) = (blob_name(self.known.as_ref()), place_name(&self.place));
        let failure = |source| UploadError::Exchange {
            blob: blob.clone(),
            place: place.clone(),
            source: Box::new(source),
        };
        let mut standing = location.map(|location| Standing { location, offset: 0 });
        let mut failures = 0;
        let mut rejected = None;
        loop {
            let at = match standing.take() {
                Some(at) => at,
                None => Standing { location: begin(line).await.map_err(failure)?, offset: 0 },
            };
            let error = match self.attempt(line, &at, &mut rejected).await {
                Ok(Some(location)) => return Ok(location),
                Ok(None) if self.feed.reaches(at.offset) => {
                    standing = Some(at);
                    continue;
                }
                Ok(None) => line.unexpected("the upload", "401 before the blob was sent, not after"),
                Err(error) => error,
            };
            if self.feed.is_abandoned() {
                cancel(line, &at.location).await;
                return Err(abandoned(self.known.as_ref(), &self.place));
            }
            let spoilt = is_spoilt(&error);
            failures += 1;
            if !(error.is_passing() || spoilt) || !line.wait(&error, failures).await {
                return Err(failure(error));
            }
            if let Some(blob) = &self.known
                && self.feed.progress().end == blob.size
                && exists(line, blob.digest).await.unwrap_or(false)
            {
                // The blob is there: only the answer was lost.
                return Ok(at.location);
            }
            // 416 says that the registry stands elsewhere than floe thought; every other spoilt upload is gone.
            let is_elsewhere = error.refusal().is_some_and(|refusal| refusal.status == 416);
            let stands = if spoilt && !is_elsewhere { None } else { stands_at(line, &at.location).await };
            standing = match stands {
                Some(stands) if self.feed.reaches(stands.offset) => Some(stands),
                _ if self.feed.reaches(0) => None,
                _ => return Err(UploadError::Lost { blob, place, source: Box::new(error) }),
            };
        }
    }

    /// Sends what is left of the blob; `None` when another token has to be shown first.
    async fn attempt(
        &self,
        line: &Line<'_>,
        at: &Standing,
        rejected: &mut Option<Option<HeaderValue>>,
    ) -> Result<Option<Url>, ExchangeError> {
        let (method, url, length) = match &self.known {
            Some(blob) => {
                let left = blob.size.saturating_sub(at.offset);
                (Method::PUT, with_digest(&at.location, blob.digest), Some(left))
            }
            None => (Method::PATCH, at.location.clone(), None),
        };
        let request = format!("{method} {}", url.path());
        line.host.wait_for_pause().await;
        let scope = Scope::push(line.repository);
        let authorization = if line.host.is_own(&url) {
            line.authorize(&request, &scope, rejected.as_ref()).await?
        } else {
            None
        };
        let client = line.host.client(line.shared, &url, true)?;
        let mut builder = client
            .request(method, url.clone())
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(reqwest::Body::wrap(self.feed.body(at.offset, length)));
        if let Some(authorization) = &authorization {
            builder = builder.header(AUTHORIZATION, authorization.clone());
        }
        if let (Some(blob), Some(1..)) = (&self.known, length)
            && at.offset > 0
        {
            builder = builder.header(CONTENT_RANGE, format!("{}-{}", at.offset, blob.size - 1));
        }
        line.shared.count_request();
        let response = self.watch(line, &request, builder.send()).await?;
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED && rejected.is_none() && line.host.is_own(&url) {
            line.learn(&response);
            *rejected = Some(authorization);
            return Ok(None);
        }
        if !status.is_success() {
            let refusal = refusal(line.shared, line.host.name(), line.repository, request, response).await;
            return Err(ExchangeError::Refused(Box::new(refusal)));
        }
        let answer = Answer {
            status,
            headers: response.headers().clone(),
            url: response.url().clone(),
            body: read_bounded(
                response,
                SMALL_ANSWER,
                line.host.name(),
                &request,
                line.shared.config.stall_timeout,
            )
            .await
            // The status has said all; a body that breaks off changes nothing.
            .unwrap_or_default(),
        };
        match &self.known {
            Some(_) => Ok(Some(url)),
            None => location(line, &answer, &request).map(Some),
        }
    }

    /// Waits for the answer, while bytes move or the writer is the slow one.
    async fn watch(
        &self,
        line: &Line<'_>,
        request: &str,
        send: impl Future<Output = Result<reqwest::Response, reqwest::Error>>,
    ) -> Result<reqwest::Response, ExchangeError> {
        let config = &line.shared.config;
        let mut send = std::pin::pin!(send);
        let mut progress = self.feed.progress();
        let mut moved = Instant::now();
        loop {
            if let Ok(result) = tokio::time::timeout(TICK, &mut send).await {
                return result.map_err(|error| ExchangeError::of_reqwest(line.host.name(), request, error));
            }
            let now = self.feed.progress();
            if now != progress || now.starving {
                progress = now;
                moved = Instant::now();
            }
            let is_whole = now.ended || self.known.as_ref().is_some_and(|blob| now.end == blob.size);
            let patience = if is_whole { config.commit_timeout } else { config.stall_timeout };
            if moved.elapsed() > patience {
                let (host, request) = (line.host.name().to_owned(), request.to_owned());
                return Err(ExchangeError::Stalled { host, request, patience });
            }
        }
    }
}

/// Begins an upload: "POST then PUT", the POST.
async fn begin(line: &Line<'_>) -> Result<Url, ExchangeError> {
    let call = Call::new(Method::POST, line.repository_url("blobs/uploads/").await?);
    let answer = line.exchange(&call, &Scope::push(line.repository)).await?;
    location(line, &answer, &call.line())
}

/// Ends an upload of unknown digest: the empty PUT. An answer that was lost is made up for by asking for the blob.
pub(super) async fn commit(line: &Line<'_>, location: &Url, digest: Digest) -> Result<(), ExchangeError> {
    let mut call = Call::new(Method::PUT, with_digest(location, digest));
    call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    call.body = Bytes::new();
    call.patience = Some(line.shared.config.commit_timeout);
    match line.exchange(&call, &Scope::push(line.repository)).await {
        Ok(_) => Ok(()),
        Err(error) if is_spoilt(&error) && exists(line, digest).await.unwrap_or(false) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Tells the registry that nothing more comes. It forgets the upload by itself sooner or later.
async fn cancel(line: &Line<'_>, location: &Url) {
    let call = Call::new(Method::DELETE, location.clone());
    drop(line.exchange_once(&call, &Scope::push(line.repository)).await);
}

/// Whether the repository has a blob: "Checking if content exists in the registry".
pub(super) async fn exists(line: &Line<'_>, digest: Digest) -> Result<bool, ExchangeError> {
    let url = line.repository_url(&format!("blobs/{digest}")).await?;
    let mut call = Call::new(Method::HEAD, url);
    call.understood = &[404];
    let answer = line.exchange(&call, &Scope::push(line.repository)).await?;
    Ok(answer.status != 404)
}

/// Asks how far an upload came: "Pushing a blob in chunks", GET on the location. `None` when the registry does not say.
async fn stands_at(line: &Line<'_>, upload: &Url) -> Option<Standing> {
    let call = Call::new(Method::GET, upload.clone());
    let answer = line.exchange_once(&call, &Scope::push(line.repository)).await.ok()?;
    let range = answer.header(RANGE.as_str())?;
    let (first, last) = range.trim_start_matches("bytes=").split_once('-')?;
    let last: u64 = last.parse().ok()?;
    // `0-0` stands for no byte as well as for one.
    if answer.status != StatusCode::NO_CONTENT || first != "0" || last == 0 {
        return None;
    }
    let location = location(line, &answer, &call.line()).unwrap_or_else(|_| upload.clone());
    Some(Standing { location, offset: last + 1 })
}

/// The `Location` of an answer, absolute.
pub(super) fn location(line: &Line<'_>, answer: &Answer, request: &str) -> Result<Url, ExchangeError> {
    let text = answer.header(LOCATION.as_str());
    let missing = || line.unexpected(request, "a Location that is an HTTP URL");
    let mut url = text.and_then(|text| answer.url.join(text).ok()).ok_or_else(missing)?;
    if answer.url.scheme() == "https" && url.scheme() == "http" {
        // A registry behind a proxy that ends TLS often does not know its own scheme. Only its own host is believed.
        if url.host_str() != answer.url.host_str() || url.set_scheme("https").is_err() {
            return Err(missing());
        }
    }
    if url.scheme() == "https" || url.scheme() == "http" { Ok(url) } else { Err(missing()) }
}

/// A location with `digest=` behind what its query holds already.
fn with_digest(location: &Url, digest: Digest) -> Url {
    let mut url = location.clone();
    url.query_pairs_mut().append_pair("digest", &digest.to_string());
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_goes_behind_the_query() {
        let digest = Digest::of(b"");
        for (location, expected) in [
            ("https://r.example/v2/a/blobs/uploads/1", "?digest="),
            ("https://r.example/up?_state=a%2Fb%3D%3D&x=y", "?_state=a%2Fb%3D%3D&x=y&digest="),
        ] {
            let url = with_digest(&Url::parse(location).expect("a URL"), digest);
            let query = format!("?{}", url.query().expect("a query"));
            assert_eq!(query, format!("{expected}sha256%3A{}", digest.hex()), "{location}");
        }
    }
}
