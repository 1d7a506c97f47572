//! Registries that mean harm, met with the real program: no credential is shown or sent where it does not belong, and
//! nothing without bounds is read.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use floe_image::oci::Digest;
use floe_testkit::http::server::{Request, Response, Server};
use serde_json::{Value, json};

use super::home::Home;
use crate::program::{run, succeed};

/// Stands for every secret: found anywhere but in a login file, it has leaked.
const MARKER: &str = "Marker-of-a-secret:7f3e";

/// A helper that hands the marker out and writes down who runs with which words, its own and its parent's.
const HELPER: &str = r#"#!/bin/sh
here=$(dirname "$0")
{ tr '\0' ' ' < /proc/$$/cmdline; tr '\0' ' ' < /proc/$PPID/cmdline; echo; } >> "$here/seen"
cat > /dev/null
[ "$1" = get ] && printf '{"ServerURL":"x","Username":"user","Secret":"Marker-of-a-secret:7f3e"}'
exit 0
"#;

/// The marker as it may leak: plain, and in every form in which requests carry it.
fn forms() -> BTreeSet<String> {
    let pairs = [MARKER.to_owned(), format!("user:{MARKER}"), format!("<token>:{MARKER}")];
    let encoded = pairs
        .iter()
        .flat_map(|text| [STANDARD.encode(text), STANDARD_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(text)]);
    encoded.chain(["Marker-of-a-secret".to_owned(), "Marker%2Dof".to_owned()]).collect()
}

fn check_hides(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for form in forms() {
        assert!(!text.contains(&form), "{what} shows the secret as {form}: {text}");
    }
}

/// What a server saw: method and path, and `Authorization`.
type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

fn serve(answer: impl Fn(&mut Request<'_>) -> Response + Send + Sync + 'static) -> (Server, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let server = Server::start(move |request| {
        let line = format!("{} {}", request.method, request.path);
        log.lock().ok()?.push((line, request.headers.find("authorization").map(str::to_owned)));
        let response = answer(request);
        io::copy(&mut request.body, &mut io::sink()).ok()?;
        Some(response)
    });
    (server.unwrap_or_else(|error| panic!("{error}")), seen)
}

/// How the hostile registry asks who is there.
#[derive(Clone, Copy, Debug)]
enum Asks {
    Basic,
    Bearer,
}

/// A challenge for whoever showed nothing; `None` for whoever did.
fn challenge(request: &Request<'_>, asks: Asks) -> Option<Response> {
    let host = request.headers.find("host").unwrap_or_default();
    if request.path == "/token" || request.headers.find("authorization").is_some() {
        return None;
    }
    let field = match asks {
        Asks::Basic => "Basic realm=\"x\"".to_owned(),
        Asks::Bearer => format!("Bearer realm=\"http://{host}/token\",service=\"x\""),
    };
    Some(Response::new(401).with_header("WWW-Authenticate", field))
}

/// A token that is itself the marker, so that tokens are looked for too.
fn token() -> Response {
    Response::new(200).with_content("application/json", json!({ "token": MARKER }).to_string())
}

fn address(server: &Server) -> String {
    server.address().to_string()
}

/// What a hostile registry answers. 500 is tried again, with an event for each time.
const STATUSES: [(u16, Asks); 6] = [
    (400, Asks::Basic),
    (401, Asks::Bearer),
    (403, Asks::Basic),
    (404, Asks::Bearer),
    (500, Asks::Basic),
    (200, Asks::Bearer),
];

/// Every command, against registries that repeat what they were shown in header fields and bodies of every status.
#[test]
fn no_output_and_no_argument_shows_a_credential() {
    let home = Home::new();
    let helper = home.write("bin/docker-credential-marker", HELPER);
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("a program");
    let path = format!("{}:{}", home.path("bin").display(), std::env::var("PATH").expect("a search path"));
    let logins = [
        json!({ "auths": { "HOST": { "auth": STANDARD.encode(format!("user:{MARKER}")) } } }),
        json!({ "auths": { "HOST": { "identitytoken": MARKER } } }),
        json!({ "auths": { "HOST": { "registrytoken": MARKER } } }),
        json!({ "credHelpers": { "HOST": "marker" } }),
    ];
    let mut runs = 0;
    for (status, asks) in STATUSES {
        let (server, seen) = serve(move |request| {
            if let Some(challenge) = challenge(request, asks) {
                return challenge;
            }
            let mut form = String::new();
            request.body.read_to_string(&mut form).ok();
            let shown = request.headers.find("authorization").unwrap_or_default();
            if request.path == "/token" && status == 200 {
                return token();
            }
            let message = format!("you sent {shown} and {form}");
            let body =
                json!({ "errors": [{ "code": "X", "message": message, "detail": message }] }).to_string();
            Response::new(status)
                .with_header("X-Shown", shown)
                .with_header("Retry-After", "0")
                .with_content("application/json", body)
        });
        let host = address(&server);
        let image = format!("{host}/team/site:1");
        for login in &logins {
            let config = login.to_string().replace("HOST", &host);
            home.write("home/.docker/config.json", &config);
            let (source, layout) =
                (format!("docker://{image}"), format!("oci:{}", home.path("pulled").display()));
            for words in [
                vec!["tags", &image],
                vec!["push", "site:1", &image],
                vec!["pull", &image, &layout],
                vec!["copy", &source, &layout],
                vec!["tag", &image, "2"],
                vec!["delete", "--yes", &image],
                vec!["digest", &image],
                vec!["manifest", &image],
                vec!["config", &image],
                vec!["login", "--list"],
            ]
            .into_iter()
            // Waiting between attempts takes seconds: one command stands for all.
            .take(if status == 500 { 1 } else { 10 })
            {
                for flags in [&["-vv"] as &[&str], &["-vv", "--json"]] {
                    let words: Vec<&str> = words.iter().copied().chain(flags.iter().copied()).collect();
                    let mut floe = home.floe(&words);
                    floe.env("PATH", &path).env("RUST_BACKTRACE", "1").env("RUST_LOG", "trace");
                    let output = floe.output().expect("floe runs");
                    let what = format!("{words:?} with {status} to {asks:?}");
                    check_hides(&what, &output.stdout);
                    check_hides(&what, &output.stderr);
                    assert!(!String::from_utf8_lossy(&output.stderr).contains("bug in floe"), "{what}");
                    runs += 1;
                }
            }
        }
        assert!(seen.lock().expect("no panic").iter().any(|(_, shown)| shown.is_some()), "{asks:?}");
    }
    assert_eq!(runs, (5 * 10 + 1) * 4 * 2);
    check_hides("a process's arguments", &fs::read(home.path("bin/seen")).expect("the helper ran"));
    check_folders(&home);
}

/// The password of a login reaches the registry and the login file, and nothing else.
#[test]
fn a_password_that_is_typed_in_is_not_shown() {
    let home = Home::new();
    for status in [200, 401, 501] {
        let (server, _) = serve(move |request| {
            challenge(request, Asks::Basic).unwrap_or_else(|| {
                let shown = request.headers.find("authorization").unwrap_or_default().to_owned();
                Response::new(status).with_content("text/plain", format!("you sent {shown}"))
            })
        });
        for flags in [&["-vv"] as &[&str], &["-vv", "--json"]] {
            let host = address(&server);
            let login = [&["login", &host, "--username", "user", "--password-stdin"], flags].concat();
            let output = home.floe(&login).stdin(home.holding(MARKER)).output().expect("floe runs");
            check_hides("login", &[output.stdout, output.stderr].concat());
        }
    }
    fs::remove_file(home.path("stdin")).expect("it was written just now");
    check_folders(&home);
}

/// floe's own folders hold no secret: only the login files do.
fn check_folders(home: &Home) {
    let root = home.path("..").canonicalize().expect("a folder");
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_ours = path.ends_with(".docker/config.json") || path.starts_with(root.join("work/bin"));
            match path.is_dir() {
                true => folders.push(path),
                false if is_ours => {}
                false => check_hides(&path.display().to_string(), &fs::read(&path).unwrap_or_default()),
            }
        }
    }
}

/// The words of a process are readable for everybody on the machine while it waits for a registry.
#[test]
fn a_running_process_shows_no_credential() {
    let home = Home::new();
    let (server, _) = serve(|request| {
        std::thread::sleep(Duration::from_millis(300));
        challenge(request, Asks::Basic).unwrap_or_else(|| Response::new(403))
    });
    let host = address(&server);
    let mut login = home.floe(&["login", &host, "--username", "user", "--password-stdin"]);
    let mut child = login.stdin(home.holding(MARKER)).stderr(Stdio::null()).spawn().expect("floe starts");
    let process = Path::new("/proc").join(child.id().to_string());
    let mut looks = 0;
    while child.try_wait().expect("a child").is_none() {
        for file in ["cmdline", "environ", "comm", "status"] {
            check_hides(file, &fs::read(process.join(file)).unwrap_or_default());
        }
        looks += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(looks > 0, "it ended before it was looked at");
}

/// A layout's blobs as a registry serves them, by digest, and the manifest.
fn image_of(home: &Home) -> (Vec<u8>, std::path::PathBuf) {
    succeed(&mut home.floe(&["copy", "site:1", "oci:whole:1"]));
    let index: Value =
        serde_json::from_slice(&fs::read(home.path("whole/index.json")).expect("a layout")).expect("JSON");
    let digest = index["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
    let blobs = home.path("whole/blobs/sha256");
    (fs::read(blobs.join(&digest["sha256:".len()..])).expect("the manifest"), blobs)
}

fn log_in(home: &Home, host: &str) {
    let login = json!({ "auths": { host: { "auth": STANDARD.encode(format!("user:{MARKER}")) } } });
    home.write("home/.docker/config.json", &login.to_string());
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[test]
fn no_authorization_follows_a_redirect_to_another_host() {
    for asks in [Asks::Basic, Asks::Bearer] {
        let home = Home::new();
        let (manifest, blobs) = image_of(&home);
        let (store, seen_there) = serve(move |request| {
            let hex = request.path.rsplit(':').next().unwrap_or_default().to_owned();
            fs::read(blobs.join(hex))
                .map_or_else(|_| Response::new(404), |bytes| Response::new(200).with_content("x", bytes))
        });
        let there = address(&store);
        let (server, seen_here) = serve(move |request| match challenge(request, asks) {
            Some(challenge) => challenge,
            None if request.path == "/token" => token(),
            None if request.path.contains("/manifests/") => {
                Response::new(200).with_content(MANIFEST, manifest.clone())
            }
            None => {
                Response::new(307).with_header("Location", format!("http://{there}{}?signed=1", request.path))
            }
        });
        let host = address(&server);
        log_in(&home, &host);
        succeed(&mut home.floe(&["pull", &format!("{host}/team/site:1"), "oci:pulled:1"]));
        assert!(seen_here.lock().expect("no panic").iter().any(|(_, shown)| shown.is_some()));
        let seen = seen_there.lock().expect("no panic");
        assert!(!seen.is_empty() && seen.iter().all(|(_, shown)| shown.is_none()), "{asks:?}: {seen:?}");
    }
}

#[test]
fn no_authorization_follows_an_upload_to_another_host() {
    for asks in [Asks::Basic, Asks::Bearer] {
        let home = Home::new();
        let (store, seen_there) = serve(|_| Response::new(201));
        let there = address(&store);
        let (server, _) = serve(move |request| match (challenge(request, asks), request.method.as_str()) {
            (Some(challenge), _) => challenge,
            (None, _) if request.path == "/token" => token(),
            (None, "POST") => {
                Response::new(202).with_header("Location", format!("http://{there}/upload?signed=1"))
            }
            (None, "PUT") => Response::new(201),
            (None, _) if request.path == "/v2/" => Response::new(200),
            (None, _) => Response::new(404),
        });
        let host = address(&server);
        log_in(&home, &host);
        succeed(&mut home.floe(&["push", "site:1", &format!("{host}/team/site:1")]));
        let seen = seen_there.lock().expect("no panic");
        assert!(!seen.is_empty() && seen.iter().all(|(_, shown)| shown.is_none()), "{asks:?}: {seen:?}");
    }
}

#[test]
fn a_token_server_on_a_private_address_is_refused() {
    let home = Home::new();
    for (realm, said) in [
        ("http://10.0.0.1/token", "'10.0.0.1'"),
        ("http://169.254.169.254/latest/meta-data", "'169.254.169.254'"),
        ("https://[fd00::1]:8443/token", "'[fd00::1]:8443'"),
        ("http://[::ffff:192.168.0.1]/token", "private address"),
        ("ftp://auth.example/token", "without HTTPS"),
    ] {
        let (server, _) = serve(move |_| {
            Response::new(401)
                .with_header("WWW-Authenticate", format!("Bearer realm=\"{realm}\",service=\"x\""))
        });
        let host = address(&server);
        log_in(&home, &host);
        let told = home.failure(&["tags", &format!("{host}/team/site")]);
        assert!(told.contains(said) && told.contains("credentials are not sent there"), "{realm}: {told}");
    }
}

/// A manifest that is larger than any real one, and blobs that are not what their digest says: nothing is kept.
#[test]
fn what_cannot_be_right_is_not_kept() {
    let home = Home::new();
    let (manifest, _) = image_of(&home);
    let large = vec![b' '; (4 << 20) + 1];
    let endless = json!({ "schemaVersion": 2, "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(b"").to_string(), "size": 4_u64 << 21 },
        "layers": [] });
    for (document, said) in [
        (large, "more than 4194304 bytes"),
        (endless.to_string().into_bytes(), "sha256:e3b0c44298fc"),
        (manifest, "sha256:"),
    ] {
        let (server, _) = serve(move |request| match request.path.as_str() {
            "/v2/" => Response::new(200),
            path if path.contains("/manifests/") => {
                Response::new(200).with_content(MANIFEST, document.clone())
            }
            _ => Response::new(200).with_content("x", "something else"),
        });
        let image = format!("{}/team/site:1", address(&server));
        let told = home.failure(&["pull", &image, "oci:pulled:1"]);
        assert!(told.contains(said), "{told}");
        assert!(
            !home.path("pulled").join("index.json").exists() && files(&home.path("pulled")) == 0,
            "{told}"
        );
        assert_eq!(files(&home.path("../cache/floe/spool")), 0, "{told}");
        let mut config = home.floe(&["config", &image]);
        assert!(run(&mut config, 1).stdout.is_empty());
    }
}

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}
