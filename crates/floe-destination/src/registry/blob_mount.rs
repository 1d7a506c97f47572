//! A blob taken over from another repository of the same host, without its bytes.
//!
//! OCI distribution-spec v1.1, "Mounting a blob from another repository".

use floe_image::oci::Digest;
use reqwest::{Method, StatusCode, Url};

use super::auth::{AuthError, Scope};
use super::exchange::{Call, Line};
use super::response::ExchangeError;
use super::uploading::location;

/// What became of a mount.
pub(super) enum Mounted {
    /// The repository has the blob now.
    Done,
    /// The registry does not mount, but has begun an upload here: no second POST is needed.
    Upload(Url),
    /// The registry or its token server refused; a plain upload may still be permitted.
    Refused,
}

/// Asks for a blob of another repository of the host.
pub(super) async fn mount(line: &Line<'_>, digest: Digest, source: &str) -> Result<Mounted, ExchangeError> {
    let mut url = line.repository_url("blobs/uploads/").await?;
    url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", source);
    let call = Call::new(Method::POST, url);
    let answer = match line.exchange(&call, &Scope::mount(line.repository, source)).await {
        Ok(answer) => answer,
        Err(ExchangeError::Refused(refusal)) if !refusal.is_passing() => return Ok(Mounted::Refused),
        Err(ExchangeError::Authorization { source, .. })
            if matches!(*source, AuthError::TokenServer { .. }) =>
        {
            return Ok(Mounted::Refused);
        }
        Err(error) => return Err(error),
    };
    if answer.status == StatusCode::CREATED {
        return Ok(Mounted::Done);
    }
    location(line, &answer, &call.line()).map(Mounted::Upload)
}
