//! A server that answers each request by a function.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::body::{Body, Framing};
use super::headers::{Headers, invalid, read_head};
use super::listener::Listener;

/// A request; its body is read by the one who answers.
#[derive(Debug)]
pub struct Request<'connection> {
    /// The method, upper case.
    pub method: String,
    /// The path, as on the wire, without the query.
    pub path: String,
    /// The query's pairs in order, percent-decoded.
    pub query: Vec<(String, String)>,
    /// The header fields.
    pub headers: Headers,
    /// The content.
    pub body: Body<'connection>,
}

impl Request<'_> {
    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a response carries.
#[derive(Debug)]
pub enum Content {
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// The next bytes of a file.
    File {
        /// Stands at the first byte.
        file: File,
        /// How many bytes follow.
        length: u64,
    },
}

/// A response. `Content-Length` is added when it is sent, and a response to HEAD is sent without its content.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields, `Content-Length` excepted.
    pub headers: Headers,
    /// The content.
    pub content: Content,
    /// After how many bytes of content the connection is cut; never when `None`.
    pub cut_after: Option<u64>,
}

impl Response {
    /// A response without content.
    pub fn new(status: u16) -> Self {
        let content = Content::Bytes(Vec::new());
        Self { status, headers: Headers::default(), content, cut_after: None }
    }

    /// Adds a header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Sets the content and its type.
    #[must_use]
    pub fn with_content(mut self, content_type: &str, content: impl Into<Vec<u8>>) -> Self {
        self.content = Content::Bytes(content.into());
        self.with_header("Content-Type", content_type)
    }

    /// The content's length in bytes.
    pub fn length(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File { length, .. } => *length,
        }
    }
}

/// A server on 127.0.0.1 and a port of the kernel's choice. Dropping it closes all connections.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
}

impl Server {
    /// Starts to answer requests with `answer`, which several threads call at once.
    ///
    /// `None` from `answer` cuts the connection without a response.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub fn start(
        answer: impl Fn(&mut Request<'_>) -> Option<Response> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Ok(Self { listener: Listener::start(move |stream| serve(stream, &answer))? })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }
}

/// Answers the requests of one connection until either side closes it.
fn serve(stream: &TcpStream, answer: &dyn Fn(&mut Request<'_>) -> Option<Response>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    while let Some((start_line, headers)) = read_head(&mut reader)? {
        if headers.find("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            (&mut &*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let closes = headers.find("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let mut parts = start_line.split(' ');
        let (Some(method), Some(target)) = (parts.next(), parts.next()) else {
            return Err(invalid("a request line without a target"));
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = Body::new(&mut reader, Framing::of(&headers)?);
        let mut request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: parse_pairs(query),
            headers,
            body,
        };
        let Some(response) = answer(&mut request) else { return Ok(()) };
        let cut = response.cut_after.is_some();
        send(stream, response, method == "HEAD")?;
        // What an answer did not want to read must not be taken for the next request.
        if cut || closes || !drain(&mut request.body) {
            return Ok(());
        }
    }
    Ok(())
}

fn send(mut stream: &TcpStream, response: Response, head_only: bool) -> io::Result<()> {
    let length = response.length();
    let mut head = format!("HTTP/1.1 {0} {0}\r\n", response.status);
    let mut headers = response.headers;
    if response.status != 204 {
        headers.push("Content-Length", length.to_string());
    }
    headers.render(&mut head);
    let sent = if head_only { 0 } else { response.cut_after.unwrap_or(length).min(length) };
    match response.content {
        Content::Bytes(bytes) => {
            let end = usize::try_from(sent).unwrap_or(usize::MAX).min(bytes.len());
            let mut message = head.into_bytes();
            message.extend_from_slice(&bytes[..end]);
            stream.write_all(&message)
        }
        Content::File { file, .. } => {
            stream.write_all(head.as_bytes())?;
            io::copy(&mut file.take(sent), &mut stream).map(drop)
        }
    }
}

/// Reads the rest of a body; false when there is too much of it for that to be worthwhile.
fn drain(body: &mut Body<'_>) -> bool {
    let copied = io::copy(&mut body.by_ref().take(1 << 20), &mut io::sink());
    copied.is_ok() && body.is_finished()
}

/// Splits `a=b&c=d` and decodes both sides: URL standard, `application/x-www-form-urlencoded`.
pub fn parse_pairs(encoded: &str) -> Vec<(String, String)> {
    let pairs = encoded.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| (decode(k), decode(v)))
        .collect()
}

fn decode(encoded: &str) -> String {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        let hexadecimal = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let byte = hexadecimal.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => decoded.push(b' '),
            (other, _) => decoded.push(*other),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_pairs_are_decoded() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(parse_pairs(""), []);
        assert_eq!(
            parse_pairs("mount=sha256%3Aab&from=a/b"),
            [pair("mount", "sha256:ab"), pair("from", "a/b")]
        );
        assert_eq!(parse_pairs("a=b+c&d&e=%zz%4"), [pair("a", "b c"), pair("d", ""), pair("e", "%zz%4")]);
    }
}
