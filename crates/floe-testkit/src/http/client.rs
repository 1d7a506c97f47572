//! One request on one connection, for tests that speak to a server directly.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::body::{Body, Framing};
use super::headers::{Headers, invalid, read_head};

/// No server of the kit keeps a test waiting this long.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A response, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The content.
    pub body: Vec<u8>,
}

impl Response {
    /// The content as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request and reads the whole response.
///
/// `target` is a path with its query, or a URL on the same server, as in a `Location`. The body has a
/// `Content-Length`; an empty one too.
///
/// # Errors
///
/// When the connection fails or the response is not HTTP.
pub fn exchange(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    let target = target.strip_prefix(&format!("http://{address}")).unwrap_or(target);
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    let mut fields = Headers::default();
    fields.push("Host", address.to_string());
    fields.push("Connection", "close");
    fields.push("Content-Length", body.len().to_string());
    for (name, value) in headers {
        fields.push(name, *value);
    }
    fields.render(&mut head);

    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    // A server that refuses a request early closes while the body is still being sent; its response counts.
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    match (read_response(&stream, method), sent) {
        (Ok(response), _) => Ok(response),
        (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
    }
}

/// Fetches a page with GET, and tries again until it gets a response with status 200.
///
/// # Errors
///
/// After `timeout` the last error, or one that shows the last response.
pub fn fetch(address: SocketAddr, path: &str, timeout: Duration) -> io::Result<String> {
    let deadline = Instant::now() + timeout;
    loop {
        let error = match exchange(address, "GET", path, &[], &[]) {
            Ok(response) if response.status == 200 => return Ok(response.text()),
            Ok(response) => {
                let status = response.status;
                io::Error::other(format!("GET http://{address}{path}: {status}: {}", response.text()))
            }
            Err(error) => io::Error::new(error.kind(), format!("GET http://{address}{path}: {error}")),
        };
        if Instant::now() >= deadline {
            return Err(error);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

pub(super) fn read_response(stream: &TcpStream, method: &str) -> io::Result<Response> {
    let mut reader = BufReader::new(stream);
    let (start_line, headers) = read_head(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = start_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| invalid("a status line without a status"))?;
    let has_length = headers.find("content-length").or(headers.find("transfer-encoding")).is_some();
    let framing = match status {
        204 | 304 => Framing::Length(0),
        _ if method == "HEAD" => Framing::Length(0),
        _ if has_length => Framing::of(&headers)?,
        _ => Framing::UntilClose,
    };
    let mut body = Vec::new();
    Body::new(&mut reader, framing).read_to_end(&mut body)?;
    Ok(Response { status, headers, body })
}
