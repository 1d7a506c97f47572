//! A server with a thread for each connection.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::body::{Body, Framing};
use super::headers::{Headers, invalid, read_head};

/// How long a connection may be idle, so that a client that hangs does not hang the tests.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long the server waits for its connections when it stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

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
pub struct Server {
    address: SocketAddr,
    connections: Arc<Connections>,
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The open connections, so that a stopping server can close them.
#[derive(Default)]
struct Connections {
    open: Mutex<Open>,
    closed: Condvar,
}

#[derive(Default)]
struct Open {
    stopping: bool,
    next: u64,
    streams: BTreeMap<u64, TcpStream>,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Open> {
        // Whoever panicked with the lock held left the list whole: every change is one call.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let connections = Arc::new(Connections::default());
        let answer = Arc::new(answer);
        let accepting = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A connection that failed before it was accepted concerns its client alone.
                let Ok(stream) = stream else { continue };
                let Ok(copy) = stream.try_clone() else { continue };
                let mut open = accepting.lock();
                if open.stopping {
                    return;
                }
                let number = open.next;
                open.next += 1;
                open.streams.insert(number, copy);
                drop(open);

                let (connections, answer) = (Arc::clone(&accepting), Arc::clone(&answer));
                thread::spawn(move || {
                    let guard = Closing { connections, number };
                    // The client sees the same failure as we do, and it is the client that is under test.
                    drop(serve(&stream, &*answer));
                    drop(stream.shutdown(Shutdown::Both));
                    drop(guard);
                });
            }
        });
        Ok(Self { address, connections })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.stopping = true;
        for stream in open.streams.values() {
            // Already closed by the peer, then.
            drop(stream.shutdown(Shutdown::Both));
        }
        // Wakes the thread that accepts, which sees `stopping` and ends.
        drop(TcpStream::connect(self.address));
        let all_closed =
            self.connections.closed.wait_timeout_while(open, STOP_TIMEOUT, |open| !open.streams.is_empty());
        drop(all_closed);
    }
}

/// Takes its connection off the list, also when the thread panics.
struct Closing {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.connections.lock().streams.remove(&self.number);
        self.connections.closed.notify_all();
    }
}

/// Answers the requests of one connection until either side closes it.
fn serve(stream: &TcpStream, answer: &dyn Fn(&mut Request<'_>) -> Option<Response>) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_write_timeout(Some(IDLE_TIMEOUT))?;
    // Responses are small and written whole: waiting for more to send would cost 40 ms a request.
    stream.set_nodelay(true)?;
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
