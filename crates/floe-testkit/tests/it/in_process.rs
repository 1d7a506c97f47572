//! The in-process registry keeps to the distribution-spec, byte by byte, and fails when told to.

use anyhow::Context as _;
use floe_testkit::http::client::{Response, exchange};
use floe_testkit::registry::in_process::{Behaviour, Endpoint, Fault, Registry};
use serde_json::{Value, json};

use crate::busybox::sha256;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", sha256(content))
}

/// One request; `wire` is the method and the target.
fn ask(registry: &Registry, wire: &str, headers: &[(&str, &str)], body: &[u8]) -> anyhow::Result<Response> {
    let (method, target) = wire.split_once(' ').context("a method and a target")?;
    exchange(registry.address(), method, target, headers, body).with_context(|| wire.to_owned())
}

#[track_caller]
fn assert_status(response: &Response, status: u16) {
    assert_eq!(response.status, status, "{}", response.text());
}

fn begin(registry: &Registry) -> anyhow::Result<String> {
    let response = ask(registry, "POST /v2/a/blobs/uploads/", &[], &[])?;
    assert_status(&response, 202);
    location(&response)
}

fn location(response: &Response) -> anyhow::Result<String> {
    Ok(response.headers.find("location").context("a Location")?.to_owned())
}

fn push_blob(registry: &Registry, content: &[u8]) -> anyhow::Result<Value> {
    let digest = digest(content);
    let put = format!("PUT {}&digest={digest}", begin(registry)?);
    assert_status(&ask(registry, &put, &[], content)?, 201);
    Ok(json!({ "mediaType": "application/octet-stream", "digest": digest, "size": content.len() }))
}

fn push_manifest(registry: &Registry, tag: &str, extra: &Value) -> anyhow::Result<(Response, String)> {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": push_blob(registry, b"{}")?,
        "layers": [],
    });
    for (name, value) in extra.as_object().into_iter().flatten() {
        manifest[name] = value.clone();
    }
    let content = manifest.to_string();
    let put = format!("PUT /v2/a/manifests/{tag}");
    let response = ask(registry, &put, &[("Content-Type", MANIFEST_TYPE)], content.as_bytes())?;
    Ok((response, digest(content.as_bytes())))
}

#[test]
fn a_blob_comes_back_whole_and_in_parts() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    push_blob(&registry, b"hello world")?;
    let blob = format!("/v2/a/blobs/{}", digest(b"hello world"));
    let head = ask(&registry, &format!("HEAD {blob}"), &[], &[])?;
    assert_eq!((head.status, head.headers.find("content-length")), (200, Some("11")));
    assert_eq!(ask(&registry, &format!("GET {blob}"), &[], &[])?.text(), "hello world");

    let part = |range: &str| ask(&registry, &format!("GET {blob}"), &[("Range", range)], &[]);
    let cases = [("bytes=6-", 206, "world"), ("bytes=0-4", 206, "hello"), ("bytes=4-99", 206, "o world")];
    for (range, status, text) in cases {
        let response = part(range)?;
        assert_eq!((response.status, response.text().as_str()), (status, text), "{range}");
    }
    assert_eq!(part("bytes=6-7")?.headers.find("content-range"), Some("bytes 6-7/11"));
    assert_status(&part("bytes=11-")?, 416);
    assert_status(
        &ask(&registry, &format!("GET /v2/other/blobs/{}", digest(b"hello world")), &[], &[])?,
        404,
    );
    assert_eq!(registry.blob("a", &digest(b"hello world")).as_deref(), Some(&b"hello world"[..]));
    Ok(())
}

#[test]
fn a_wrong_digest_is_refused() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    let put = format!("PUT {}&digest={}", begin(&registry)?, digest(b"other"));
    assert_status(&ask(&registry, &put, &[], b"hello")?, 400);
    assert_eq!(registry.blob("a", &digest(b"hello")), None);
    let put = format!("PUT /v2/a/manifests/{}", digest(b"other"));
    assert_status(&ask(&registry, &put, &[("Content-Type", MANIFEST_TYPE)], b"{}")?, 400);
    Ok(())
}

#[test]
fn chunks_come_in_order_to_the_latest_location() -> anyhow::Result<()> {
    let registry = Registry::with(Behaviour { chunk_min_length: Some(3), ..Behaviour::default() })?;
    let first = begin(&registry)?;
    let response = ask(&registry, &format!("PATCH {first}"), &[("Content-Range", "0-4")], b"hello")?;
    assert_eq!((response.status, response.headers.find("range")), (202, Some("0-4")));
    let second = location(&response)?;

    assert_status(&ask(&registry, &format!("PATCH {first}"), &[], b" world")?, 416);
    let gap = ask(&registry, &format!("PATCH {second}"), &[("Content-Range", "9-14")], b" world")?;
    assert_status(&gap, 416);
    let (without_query, _) = second.split_once('?').context("the Location has a query")?;
    assert_status(&ask(&registry, &format!("PATCH {without_query}"), &[], b" world")?, 400);

    let response = ask(&registry, &format!("PATCH {second}"), &[("Content-Range", "5-10")], b" world")?;
    let put = format!("PUT {}&digest={}", location(&response)?, digest(b"hello world"));
    assert_status(&ask(&registry, &put, &[], &[])?, 201);

    let short = ask(&registry, &format!("PATCH {}", begin(&registry)?), &[("Content-Range", "0-1")], b"he")?;
    assert_status(&short, 400);
    Ok(())
}

#[test]
fn a_cut_upload_resumes_where_it_broke() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    registry.set_faults(|request| match (request.endpoint, request.method, request.earlier) {
        (Endpoint::Upload, "PATCH", 0) => Fault::CutRequest { after: 70_000 },
        _ => Fault::None,
    });
    let content = vec![7; 100_000];
    let start = begin(&registry)?;
    assert!(ask(&registry, &format!("PATCH {start}"), &[], &content).is_err());
    let progress = ask(&registry, &format!("GET {start}"), &[], &[])?;
    assert_eq!((progress.status, progress.headers.find("range")), (204, Some("0-69999")));
    let put = format!("PUT {}&digest={}", location(&progress)?, digest(&content));
    assert_status(&ask(&registry, &put, &[], &content[70_000..])?, 201);

    let patch = registry.requests().into_iter().find(|request| request.method == "PATCH");
    let patch = patch.context("the cut request is logged")?;
    assert_eq!((patch.status, patch.body_len), (None, 70_000));
    assert_eq!(registry.count("PUT", Endpoint::Upload), 1);
    Ok(())
}

#[test]
fn faults_are_what_the_rule_says() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    push_blob(&registry, b"hello world")?;
    let get = format!("GET /v2/a/blobs/{}", digest(b"hello world"));
    let ask_again = || ask(&registry, &get, &[], &[]);
    registry.set_faults(|request| match request.earlier {
        0 => Fault::Status { status: 429, retry_after: Some(2) },
        1 => Fault::CutResponse { after: 5 },
        2 => Fault::LoseResponse,
        _ => Fault::None,
    });
    let limited = ask_again()?;
    assert_eq!((limited.status, limited.headers.find("retry-after")), (429, Some("2")));
    assert!(ask_again().is_err());
    assert!(ask_again().is_err());
    assert_eq!(ask_again()?.text(), "hello world");
    registry.set_faults(|_| Fault::Status { status: 503, retry_after: None });
    assert_status(&ask_again()?, 503);
    registry.clear_faults();
    assert_status(&ask_again()?, 200);
    Ok(())
}

#[test]
fn a_blob_is_mounted_from_where_it_is() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    push_blob(&registry, b"hello")?;
    let mount = |from: &str| {
        let post = format!("POST /v2/b/blobs/uploads/?mount={}&from={from}", digest(b"hello"));
        ask(&registry, &post, &[], &[])
    };
    assert_status(&mount("c")?, 202);
    assert_status(&mount("a")?, 201);
    assert_eq!(registry.blob("b", &digest(b"hello")).as_deref(), Some(&b"hello"[..]));

    let delete = |repository: &str| {
        ask(&registry, &format!("DELETE /v2/{repository}/blobs/{}", digest(b"hello")), &[], &[])
    };
    assert_status(&delete("a")?, 202);
    assert_status(&delete("a")?, 404);
    assert!(registry.blob("b", &digest(b"hello")).is_some(), "the other repository keeps it");
    Ok(())
}

#[test]
fn a_manifest_names_only_what_is_there() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    let (response, digest_of_manifest) = push_manifest(&registry, "latest", &json!({}))?;
    assert_status(&response, 201);
    let got = ask(&registry, "GET /v2/a/manifests/latest", &[], &[])?;
    assert_eq!(got.headers.find("docker-content-digest"), Some(digest_of_manifest.as_str()));
    assert_eq!(got.headers.find("content-type"), Some(MANIFEST_TYPE));
    assert_eq!(registry.manifest("a", &digest_of_manifest), Some(got.body));

    let absent = json!([{ "digest": digest(b"absent"), "size": 6 }]);
    let wrong_size = json!([{ "digest": digest(b"{}"), "size": 3 }]);
    for layers in [absent, wrong_size] {
        let (refused, _) = push_manifest(&registry, "bad", &json!({ "layers": layers }))?;
        assert_status(&refused, 400);
        assert!(refused.text().contains("MANIFEST_BLOB_UNKNOWN"), "{}", refused.text());
    }
    assert_status(&ask(&registry, "DELETE /v2/a/manifests/latest", &[], &[])?, 202);
    assert_status(&ask(&registry, "HEAD /v2/a/manifests/latest", &[], &[])?, 404);
    assert_status(&ask(&registry, &format!("HEAD /v2/a/manifests/{digest_of_manifest}"), &[], &[])?, 200);
    Ok(())
}

#[test]
fn tags_come_in_pages() -> anyhow::Result<()> {
    let registry = Registry::with(Behaviour { page_size: Some(2), ..Behaviour::default() })?;
    assert_status(&ask(&registry, "GET /v2/a/tags/list", &[], &[])?, 404);
    for tag in ["3", "1", "2"] {
        assert_status(&push_manifest(&registry, tag, &json!({}))?.0, 201);
    }
    let first = ask(&registry, "GET /v2/a/tags/list", &[], &[])?;
    assert_eq!(first.text(), r#"{"name":"a","tags":["1","2"]}"#);
    assert_eq!(first.headers.find("link"), Some("</v2/a/tags/list?n=2&last=2>; rel=\"next\""));
    let second = ask(&registry, "GET /v2/a/tags/list?n=2&last=2", &[], &[])?;
    assert_eq!((second.text().as_str(), second.headers.find("link")), (r#"{"name":"a","tags":["3"]}"#, None));
    Ok(())
}

#[test]
fn referrers_are_listed_and_filtered() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    let subject = digest(b"some image");
    let referring = |tag: &str, kind: &str| {
        let subject = json!({ "mediaType": MANIFEST_TYPE, "digest": subject, "size": 10 });
        let annotations = json!({ "who": tag });
        push_manifest(
            &registry,
            tag,
            &json!({ "artifactType": kind, "subject": subject, "annotations": annotations }),
        )
    };
    let (response, signature) = referring("s", "application/x.signature")?;
    assert_eq!(response.headers.find("oci-subject"), Some(subject.as_str()));
    referring("b", "application/x.bill")?;

    let list = |query: &str| -> anyhow::Result<(Response, Value)> {
        let response = ask(&registry, &format!("GET /v2/a/referrers/{subject}{query}"), &[], &[])?;
        let index = serde_json::from_slice(&response.body)?;
        Ok((response, index))
    };
    let (_, all) = list("")?;
    assert_eq!(all["manifests"].as_array().map(Vec::len), Some(2));
    let (response, filtered) = list("?artifactType=application/x.signature")?;
    assert_eq!(response.headers.find("oci-filters-applied"), Some("artifactType"));
    assert_eq!(filtered["manifests"].as_array().map(Vec::len), Some(1));
    let only = &filtered["manifests"][0];
    assert_eq!(only["digest"].as_str(), Some(signature.as_str()));
    assert_eq!(only["artifactType"], "application/x.signature");
    assert_eq!(only["annotations"]["who"], "s");

    let plain = Registry::with(Behaviour { referrers: false, ..Behaviour::default() })?;
    assert_status(&ask(&plain, &format!("GET /v2/a/referrers/{subject}"), &[], &[])?, 404);
    Ok(())
}
