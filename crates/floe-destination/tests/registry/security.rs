//! Registries and networks that mean harm: no credential leaves, nothing wrong is kept, nothing grows without bound.

use std::sync::{Arc, Mutex};

use floe_destination::registry::credentials::{Credential, Secret};
use floe_destination::registry::{ManifestName, Registry, RegistryConfig};
use floe_image::oci::{Descriptor, MediaType};
use floe_image::{BlobError, BlobSink, BlobSource};
use floe_testkit::http::server::{Request, Response, Server};

use crate::image::{commit, config, reference, repository, whole};

const PASSWORD: &str = "hunter2 is a secret";

/// What a server saw: method and path, and `Authorization`.
type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

fn serve(answer: impl Fn(&mut Request<'_>) -> Response + Send + Sync + 'static) -> (Server, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let server = Server::start(move |request| {
        let line = format!("{} {}", request.method, request.path);
        let authorization = request.headers.find("authorization").map(str::to_owned);
        log.lock().expect("no panic").push((line, authorization));
        std::io::copy(&mut request.body, &mut std::io::sink()).ok()?;
        Some(answer(request))
    });
    (server.expect("a server"), seen)
}

fn challenge() -> Response {
    Response::new(401).with_header("WWW-Authenticate", "Basic realm=\"x\"")
}

fn with_login(host: &str) -> RegistryConfig {
    let mut config = config();
    config.credentials.explicit.insert(host.to_owned(), Credential::password("user", PASSWORD));
    config
}

fn blob() -> Descriptor {
    Descriptor::of(MediaType::LayerTar, b"content")
}

#[test]
fn no_authorization_on_a_redirect_to_another_host() {
    let (store, seen_there) =
        serve(|_| Response::new(200).with_content("application/octet-stream", "content"));
    let there = store.address();
    let (server, seen_here) = serve(move |request| {
        if request.headers.find("authorization").is_none() {
            return challenge();
        }
        if request.path == "/v2/" {
            return Response::new(200);
        }
        Response::new(307).with_header("Location", format!("http://{there}/blob?signature=x"))
    });
    let host = server.address().to_string();
    let client = Registry::new(with_login(&host)).expect("a client");
    let mut out = Vec::new();
    repository(&client, &host, "app").copy_to(&blob(), &mut out).expect("the blob");
    assert_eq!(out, b"content");
    assert!(seen_here.lock().expect("no panic").iter().any(|(_, authorization)| authorization.is_some()));
    let seen = seen_there.lock().expect("no panic");
    assert!(!seen.is_empty() && seen.iter().all(|(_, authorization)| authorization.is_none()), "{seen:?}");
}

#[test]
fn no_authorization_on_a_location_on_another_host() {
    use std::io::Write;

    let (store, seen_there) = serve(|_| Response::new(201));
    let there = store.address();
    let (server, _) = serve(move |request| match request.method.as_str() {
        _ if request.headers.find("authorization").is_none() => challenge(),
        "POST" => Response::new(202).with_header("Location", format!("http://{there}/upload/1")),
        _ => Response::new(404),
    });
    let host = server.address().to_string();
    let client = Registry::new(with_login(&host)).expect("a client");
    let session = floe_destination::registry::PushSession::open(
        &client,
        &reference(&host, "app:1"),
        floe_destination::registry::PushConfig::default(),
    );
    let session = session.expect("a session");
    let mut writer = session.begin(Some(&blob())).expect("a writer");
    writer.write_all(b"content").expect("room");
    commit(&session, writer, &blob()).unwrap_or_else(|error| panic!("{}", whole(&*error)));
    let seen = seen_there.lock().expect("no panic");
    assert!(!seen.is_empty() && seen.iter().all(|(_, authorization)| authorization.is_none()), "{seen:?}");
}

#[test]
fn a_realm_on_a_private_address_is_refused() {
    for (realm, refused) in [
        ("http://10.0.0.1/token", "private address"),
        ("http://169.254.169.254/latest/meta-data", "private address"),
        ("https://192.168.1.1/token", "private address"),
        ("https://[fd00::1]/token", "private address"),
        ("http://[::ffff:10.0.0.1]/token", "private address"),
        ("ftp://auth.example/token", "without HTTPS"),
    ] {
        let (server, _) = serve(move |_| {
            Response::new(401)
                .with_header("WWW-Authenticate", format!("Bearer realm=\"{realm}\",service=\"x\""))
        });
        let host = server.address().to_string();
        let client = Registry::new(with_login(&host)).expect("a client");
        let text = whole(&repository(&client, &host, "app").tags().expect_err(realm));
        assert!(text.contains(refused) && text.contains(&host), "{realm}: {text}");
    }
}

#[test]
fn identity_tokens_fall_back_to_get_and_are_rotated() {
    let rotated = Arc::new(Mutex::new(Vec::new()));
    let forms = Arc::clone(&rotated);
    // A server that knows both: each POST is answered with the next refresh token.
    let knows_post = Server::start(move |request| {
        use std::io::Read as _;
        let host = request.headers.find("host").unwrap_or_default().to_owned();
        if request.path == "/token" {
            let mut form = String::new();
            request.body.read_to_string(&mut form).ok()?;
            forms.lock().ok()?.push(form);
            let number = forms.lock().ok()?.len();
            let body =
                format!(r#"{{"access_token":"t{number}","refresh_token":"next{number}","expires_in":1}}"#);
            return Some(Response::new(200).with_content("application/json", body));
        }
        if request.headers.find("authorization").is_none() {
            let field = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
            return Some(Response::new(401).with_header("WWW-Authenticate", field));
        }
        Some(Response::new(200).with_content("application/json", r#"{"tags":["a"]}"#))
    });
    let server = knows_post.expect("a server");
    let host = server.address().to_string();
    let mut config = config();
    let token = Credential::IdentityToken { username: None, token: Secret::new("first") };
    config.credentials.explicit.insert(host.clone(), token.clone());
    let client = Registry::new(config.clone()).expect("a client");
    let there = repository(&client, &host, "app");
    assert_eq!(there.tags().expect("tags"), ["a"]);
    there.delete_manifest(&ManifestName::Tag("a".to_owned())).expect("another scope");
    let forms = rotated.lock().expect("no panic").clone();
    assert_eq!(forms.len(), 2);
    assert!(
        forms[0].contains("grant_type=refresh_token") && forms[0].contains("refresh_token=first"),
        "{forms:?}"
    );
    assert!(forms[1].contains("refresh_token=next1"), "{forms:?}");

    let (server, seen) = serve(|request| {
        let host = request.headers.find("host").unwrap_or_default().to_owned();
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/token") => Response::new(404),
            ("GET", "/token") => Response::new(200).with_content("application/json", r#"{"token":"t"}"#),
            _ if request.headers.find("authorization") == Some("Bearer t") => {
                Response::new(200).with_content("application/json", r#"{"tags":null}"#)
            }
            _ => {
                let field = format!("Bearer realm=\"http://{host}/token\"");
                Response::new(401).with_header("WWW-Authenticate", field)
            }
        }
    });
    let host = server.address().to_string();
    config.credentials.explicit.insert(host.clone(), token);
    let client = Registry::new(config).expect("a client");
    assert!(repository(&client, &host, "app").tags().expect("tags").is_empty());
    let lines: Vec<String> = seen.lock().expect("no panic").iter().map(|(line, _)| line.clone()).collect();
    assert_eq!(lines, ["GET /v2/", "POST /token", "GET /token", "GET /v2/app/tags/list"]);
}

#[test]
fn refreshes_a_refused_token_once() {
    let (server, seen) = serve(|request| {
        let host = request.headers.find("host").unwrap_or_default().to_owned();
        match request.path.as_str() {
            "/token" => {
                Response::new(200).with_content("application/json", r#"{"token":"t","expires_in":9999}"#)
            }
            _ => {
                let field = format!("Bearer realm=\"http://{host}/token\"");
                Response::new(401).with_header("WWW-Authenticate", field)
            }
        }
    });
    let host = server.address().to_string();
    let client = Registry::new(with_login(&host)).expect("a client");
    let error = repository(&client, &host, "app").tags().expect_err("every token is refused");
    assert!(whole(&error).contains("401"), "{}", whole(&error));
    let tokens = seen.lock().expect("no panic").iter().filter(|(line, _)| line == "GET /token").count();
    assert_eq!(tokens, 2);
}

#[test]
fn replaces_a_token_that_has_expired() {
    let issued = std::sync::atomic::AtomicU64::new(0);
    let (server, _) = serve(move |request| {
        let host = request.headers.find("host").unwrap_or_default().to_owned();
        if request.path == "/token" {
            let number = issued.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            // The first token is refused, though its minute is not over.
            return Response::new(200)
                .with_content("application/json", format!(r#"{{"token":"t{number}"}}"#));
        }
        if request.headers.find("authorization") == Some("Bearer t1") {
            return Response::new(200).with_content("application/json", r#"{"tags":["a"]}"#);
        }
        Response::new(401).with_header("WWW-Authenticate", format!("Bearer realm=\"http://{host}/token\""))
    });
    let host = server.address().to_string();
    let client = Registry::new(with_login(&host)).expect("a client");
    assert_eq!(repository(&client, &host, "app").tags().expect("tags"), ["a"]);
}

#[test]
fn no_error_or_event_shows_a_credential() {
    use base64::Engine as _;

    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("user:{PASSWORD}"));
    for status in [400, 401, 403, 404, 500] {
        // A registry that repeats what it was shown.
        let (server, _) = serve(move |request| {
            let Some(shown) = request.headers.find("authorization").map(str::to_owned) else {
                return challenge();
            };
            let body = format!(r#"{{"errors":[{{"code":"X","message":"you sent {shown}"}}]}}"#);
            Response::new(status).with_content("application/json", body)
        });
        let host = server.address().to_string();
        let shown = Arc::new(Mutex::new(String::new()));
        let mut config = with_login(&host);
        let events = Arc::clone(&shown);
        config.listener = Some(Arc::new(move |event| {
            events.lock().expect("no panic").push_str(&format!("{event:?}"));
        }));
        let shown_config = format!("{config:?} {:?}", config.credentials);
        let client = Registry::new(config).expect("a client");
        let there = repository(&client, &host, "app");
        let tags = there.tags().expect_err("refused");
        let name = ManifestName::Tag("x".to_owned());
        let blob = there.copy_to(&blob(), &mut Vec::new()).expect_err("refused");
        let delete = there.delete_manifest(&name);
        let all = format!(
            "{shown_config} {client:?} {there:?} {} {tags:?} {} {blob:?} {delete:?} {}",
            whole(&tags),
            whole(&blob),
            shown.lock().expect("no panic")
        );
        assert!(!all.contains("hunter2") && !all.contains(&encoded), "{status}: {all}");
    }
}

#[test]
fn manifests_over_four_mebibytes_are_refused() {
    let (server, _) = serve(|request| match request.path.as_str() {
        "/v2/" => Response::new(200),
        _ => Response::new(200)
            .with_content("application/vnd.oci.image.manifest.v1+json", vec![b' '; (4 << 20) + 1]),
    });
    let host = server.address().to_string();
    let client = Registry::new(config()).expect("a client");
    let error = repository(&client, &host, "app").manifest(&ManifestName::Tag("x".to_owned()));
    let text = whole(&error.expect_err("too long"));
    assert!(text.contains("more than 4194304 bytes"), "{text}");
}

#[test]
fn wrong_bytes_are_refused() {
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    let (server, _) = serve(|request| match request.path.as_str() {
        "/v2/" => Response::new(200),
        path if path.contains("/blobs/") => Response::new(200).with_content("x", "contenT"),
        "/v2/app/manifests/announced" => Response::new(200)
            .with_content(MANIFEST, "{}")
            .with_header("Docker-Content-Digest", blob().digest.to_string()),
        "/v2/app/manifests/page" => Response::new(200).with_content("text/html", "<html>"),
        "/v2/app/manifests/old" => {
            Response::new(200).with_content("application/vnd.docker.distribution.manifest.v1+prettyjws", "{}")
        }
        _ => Response::new(200).with_content(MANIFEST, "{}"),
    });
    let host = server.address().to_string();
    let client = Registry::new(config()).expect("a client");
    let there = repository(&client, &host, "app");
    let error = there.copy_to(&blob(), &mut Vec::new()).expect_err("wrong bytes");
    assert!(matches!(error, BlobError::WrongBytes { .. }), "{error}");
    for (name, expected) in [
        (ManifestName::Tag("announced".to_owned()), "expected sha256:"),
        (ManifestName::Digest(blob().digest), "expected sha256:"),
        (ManifestName::Tag("page".to_owned()), "malformed"),
        (ManifestName::Tag("old".to_owned()), "prettyjws"),
    ] {
        let text = whole(&there.manifest(&name).expect_err(expected));
        assert!(text.contains(expected) && text.contains(&host), "{text}");
    }
    let as_manifest = Descriptor { media_type: MediaType::Manifest, ..blob() };
    assert!(there.copy_to(&as_manifest, &mut Vec::new()).is_err());
}

#[test]
fn a_tag_that_is_none_is_refused() {
    for tag in ["\\u001b[31m", "a/b", "", "-a"] {
        let (server, _) = serve(move |request| match request.path.as_str() {
            "/v2/" => Response::new(200),
            _ => Response::new(200).with_content("x", format!(r#"{{"tags":["ok","{tag}"]}}"#)),
        });
        let host = server.address().to_string();
        let client = Registry::new(config()).expect("a client");
        let text = whole(&repository(&client, &host, "app").tags().expect_err(tag));
        assert!(text.contains("which is none") && !text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn circles_and_downgrades_end() {
    let (server, _) = serve(|request| match request.path.as_str() {
        "/v2/" => Response::new(200),
        path => Response::new(302).with_header("Location", path.to_owned()),
    });
    let host = server.address().to_string();
    let client = Registry::new(config()).expect("a client");
    let text = whole(&repository(&client, &host, "app").tags().expect_err("a circle"));
    assert!(text.contains("redirects"), "{text}");
}

#[test]
fn a_web_page_for_referrers_means_no_support() {
    let (server, _) = serve(|request| match request.path.as_str() {
        "/v2/" => Response::new(200),
        "/page" => Response::new(200).with_content("text/html", "<html>"),
        path if path.contains("/referrers/") => Response::new(303).with_header("Location", "/page"),
        _ => Response::new(404),
    });
    let host = server.address().to_string();
    let client = Registry::new(config()).expect("a client");
    assert_eq!(repository(&client, &host, "app").referrers(blob().digest, None).expect("no support"), []);
}
