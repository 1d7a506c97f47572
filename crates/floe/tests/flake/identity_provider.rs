//! A stand-in for the identity provider of the example: it signs everybody in as the same person.

use std::io::Read as _;
use std::sync::{Arc, Mutex};

use floe_testkit::http::server::{Request, Response, Server};
use serde_json::{Value, json};

/// The key that the back end must show.
pub(crate) const API_KEY: &str = "sk_test_floe";

/// The application that the back end must name.
pub(crate) const CLIENT_ID: &str = "client_floe";

/// Who signs in.
pub(crate) const NAME: &str = "Ada Lovelace";

/// A provider that answers on 127.0.0.1.
pub(crate) struct IdentityProvider {
    server: Server,
    /// What it was asked, a line each.
    log: Arc<Mutex<Vec<String>>>,
}

impl IdentityProvider {
    pub(crate) fn start() -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&log);
        let server = Server::start(move |request| {
            asked.lock().expect("no panic").push(format!("{} {}", request.method, request.path));
            Some(answer(request))
        });
        Self { server: server.expect("a port"), log }
    }

    /// Where it answers.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// What it was asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.log.lock().expect("no panic").clone()
    }
}

fn answer(request: &mut Request<'_>) -> Response {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/user_management/authorize") => authorize(request),
        ("POST", "/user_management/authenticate") => authenticate(request),
        _ => Response::new(404),
    }
}

/// Sends the browser back with a code, at once: nobody types a password.
fn authorize(request: &Request<'_>) -> Response {
    let [Some(CLIENT_ID), Some("code"), Some(back), Some(state)] =
        ["client_id", "response_type", "redirect_uri", "state"].map(|name| request.parameter(name))
    else {
        return Response::new(400);
    };
    Response::new(302).with_header("Location", format!("{back}?code=code_1&state={state}"))
}

fn authenticate(request: &mut Request<'_>) -> Response {
    let mut body = String::new();
    request.body.read_to_string(&mut body).expect("a body");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let expected = json!({
        "client_id": CLIENT_ID, "client_secret": API_KEY, "grant_type": "authorization_code", "code": "code_1",
    });
    if body != expected {
        return Response::new(401);
    }
    let user =
        json!({ "id": "user_1", "email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace" });
    Response::new(200).with_content("application/json", json!({ "user": user }).to_string())
}
