//! A repository's tags, page by page.
//!
//! OCI distribution-spec v1.1, "Listing Tags": `Link` with `rel="next"` leads to the next page.

use reqwest::{Method, Url};
use serde::Deserialize;

use super::auth::Scope;
use super::client::Repository;
use super::exchange::{Answer, Call, Line};
use super::response::ExchangeError;

/// How many tags are asked for at once: what most registries give at most.
const PAGE_SIZE: u32 = 1_000;

/// More pages than any repository has: a registry that leads in circles is left after these.
const MOST_PAGES: u32 = 10_000;

/// More than a page of the longest tags.
const LARGEST_PAGE: u64 = 8 << 20;

/// Tags could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum TagsError {
    /// The registry refused or could not be reached; 404 means that there is no such repository.
    #[error("cannot list the tags of '{repository}'")]
    Exchange {
        /// The host and repository.
        repository: String,
        /// Why.
        #[source]
        source: ExchangeError,
    },
    /// A tag in the list is none that a reference could name; printed, it could write to the terminal.
    #[error("'{repository}' lists the tag '{}', which is none", .tag.escape_debug())]
    Tag {
        /// The host and repository.
        repository: String,
        /// What is listed.
        tag: String,
    },
    /// The answer is no list of tags.
    #[error("the list of tags of '{repository}' is malformed")]
    Malformed {
        /// The host and repository.
        repository: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct Page {
    /// Some registries write `null` for a repository without tags.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Repository {
    /// Lists all tags, sorted by bytes, each once. The specification wants that order of registries; distribution
    /// 2.8 gives another.
    ///
    /// # Errors
    /// [`TagsError`].
    pub fn tags(&self) -> Result<Vec<String>, TagsError> {
        let repository = self.to_string();
        let failure = |source| TagsError::Exchange { repository: repository.clone(), source };
        let line = self.primary.line(&self.shared);
        let first = async {
            let mut url = line.repository_url("tags/list").await?;
            url.query_pairs_mut().append_pair("n", &PAGE_SIZE.to_string());
            Ok(url)
        };
        let mut next = Some(self.shared.block_on(first).map_err(failure)?);
        let mut tags: Vec<String> = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(url) = next.take() else {
                tags.sort();
                tags.dedup();
                return match tags.iter().find(|tag| self.name.with_tag(tag).is_err()) {
                    Some(tag) => Err(TagsError::Tag { tag: tag.clone(), repository }),
                    None => Ok(tags),
                };
            };
            let mut call = Call::new(Method::GET, url);
            call.limit = LARGEST_PAGE;
            let answer =
                self.shared.block_on(line.exchange(&call, &Scope::pull(line.repository))).map_err(failure)?;
            let page: Page = serde_json::from_slice(&answer.body)
                .map_err(|source| TagsError::Malformed { repository: repository.clone(), source })?;
            tags.extend(page.tags.unwrap_or_default());
            next = next_page(&line, &answer, &call.line()).map_err(failure)?;
        }
        Err(failure(line.unexpected("GET tags/list", "an end of the list")))
    }
}

/// The URL of the next page, which is on the same host (RFC 8288).
pub(super) fn next_page(
    line: &Line<'_>,
    answer: &Answer,
    request: &str,
) -> Result<Option<Url>, ExchangeError> {
    let Some(target) = answer.header("link").and_then(next_link) else { return Ok(None) };
    let url = answer.url.join(target).ok().filter(|url| url.origin() == answer.url.origin());
    url.map(Some).ok_or_else(|| line.unexpected(request, "a next page on the same host"))
}

/// Finds `next` in `</v2/app/tags/list?last=b>; rel="next"`.
fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            name.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"') == "next"
        });
        is_next.then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_next_page() {
        for (header, expected) in [
            ("</v2/a/tags/list?n=1&last=b>; rel=\"next\"", Some("/v2/a/tags/list?n=1&last=b")),
            ("<https://r/x>; rel=next", Some("https://r/x")),
            ("<a>; rel=\"prev\", <b>; title=x; rel=\"next\"", Some("b")),
            ("<a>; rel=\"prev\"", None),
            ("nonsense", None),
        ] {
            assert_eq!(next_link(header), expected, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(header in "(\\PC|<|>|;|=|,|rel|next|\"){0,40}") {
            if let Some(target) = next_link(&header) {
                assert!(header.contains(target));
            }
        }
    }
}
