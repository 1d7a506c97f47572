//! A network that fails: it stands between a client and a real server, and spoils what passes.
//!
//! Each request is read, decided about by a rule, passed on over a connection of its own and answered, except where the
//! fault says otherwise. `Host` stays as the client wrote it, so that a server's `Location` leads back to the proxy.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::body::{Body, Framing};
use super::client::{Response, read_response};
use super::headers::{Headers, read_head};
use super::listener::{Listener, prepare};

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The server never sees it; the client gets this status.
    Status {
        /// The status code, such as 429 or 502.
        status: u16,
        /// The seconds in a `Retry-After`; no such field when `None`.
        retry_after: Option<u64>,
    },
    /// Both connections are cut when the server has this many bytes of the request's content.
    CutRequest {
        /// Bytes of content; all of a shorter one arrive, and the answer is lost.
        after: u64,
    },
    /// The request is done; the connection is cut when the client has this many bytes of the answer.
    CutResponse {
        /// Bytes of the message, its head included; 0 loses the answer.
        after: usize,
    },
    /// The server gets the request twice; the client gets the second answer.
    RepeatRequest,
    /// The client gets the answer twice.
    RepeatResponse,
    /// The server gets another byte in the content than was sent.
    FlipRequest {
        /// Which, modulo the content's length.
        at: usize,
    },
    /// The client gets another byte in the content than was sent.
    FlipResponse {
        /// Which, modulo the content's length.
        at: usize,
    },
    /// The client gets the beginning of the content, with a `Content-Length` that says that it is all.
    ShortenResponse {
        /// Bytes of content.
        to: usize,
    },
    /// The answer arrives in pieces.
    SlowResponse {
        /// How many; at least 1.
        pieces: usize,
        /// What lies between two.
        pause: Duration,
    },
}

/// A request that is about to pass, for a rule to decide about.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The path, with the query.
    pub target: &'a str,
}

/// A rule that spoils one request in `one_in` on average, the same ones in the same order for the same seed.
pub fn random(seed: u64, one_in: u64) -> impl Fn(&Passing<'_>) -> Fault + Send + Sync + 'static {
    let step = AtomicU64::new(0);
    move |_| {
        let dice = hash(seed, step.fetch_add(1, Ordering::Relaxed));
        if !dice.is_multiple_of(one_in.max(1)) {
            return Fault::None;
        }
        // Beyond small messages and within small blobs.
        let somewhere = (dice >> 16) % 60_000;
        let position = usize::try_from(somewhere).unwrap_or_default();
        match (dice >> 8) % 13 {
            0 => Fault::CutRequest { after: somewhere },
            1 => Fault::CutResponse { after: position },
            // Cuts in the head of an answer are as likely as those in long contents.
            2 => Fault::CutResponse { after: position % 400 },
            3 => Fault::CutResponse { after: 0 },
            4 => Fault::Status { status: 429, retry_after: Some(0) },
            5 => Fault::Status { status: 500, retry_after: None },
            6 => Fault::Status { status: 502, retry_after: None },
            7 => Fault::RepeatRequest,
            8 => Fault::RepeatResponse,
            9 => Fault::FlipRequest { at: position },
            10 => Fault::FlipResponse { at: position },
            11 => Fault::ShortenResponse { to: position },
            _ => Fault::SlowResponse { pieces: 1 + position % 16, pause: Duration::from_millis(2) },
        }
    }
}

/// SplitMix64 of a seed and a step.
fn hash(seed: u64, step: u64) -> u64 {
    let mut z =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(step.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A running proxy. Dropping it closes its connections.
#[derive(Debug)]
pub struct FaultProxy {
    listener: Listener,
}

impl FaultProxy {
    /// Starts to pass requests to a server that speaks HTTP; several threads ask the rule at once.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub fn start(
        server: SocketAddr,
        rule: impl Fn(&Passing<'_>) -> Fault + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Ok(Self { listener: Listener::start(move |client| serve(client, server, &rule))? })
    }

    /// Starts to pass requests that come to `[::1]`, unspoilt, to a server that listens elsewhere.
    ///
    /// # Errors
    ///
    /// When the machine has no IPv6.
    pub fn on_ipv6(server: SocketAddr) -> io::Result<Self> {
        let pass = move |client: &TcpStream| serve(client, server, &|_| Fault::None);
        Ok(Self { listener: Listener::start_on(Ipv6Addr::LOCALHOST.into(), pass)? })
    }

    /// Where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The server's host as in an image reference, reached through the proxy: `127.0.0.1:PORT` or `[::1]:PORT`.
    pub fn host(&self) -> String {
        self.address().to_string()
    }
}

/// Passes the requests of one connection, until a fault or either side ends it.
fn serve(client: &TcpStream, server: SocketAddr, rule: &dyn Fn(&Passing<'_>) -> Fault) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    while let Some((start_line, headers)) = read_head(&mut reader)? {
        let mut words = start_line.split(' ');
        let passing =
            Passing { method: words.next().unwrap_or_default(), target: words.next().unwrap_or_default() };
        let fault = rule(&passing);
        let framing = Framing::of(&headers)?;
        let mut body = Body::new(&mut reader, framing);
        let mut content = Vec::new();
        if let Fault::CutRequest { after } = fault {
            body.by_ref().take(after).read_to_end(&mut content)?;
            let message = head(&start_line, &headers, "");
            return pass_beginning(server, &message, framing, &content);
        }
        body.read_to_end(&mut content)?;
        if let Fault::FlipRequest { at } = fault {
            flip(&mut content, at);
        }
        let length = format!("Content-Length: {}\r\nConnection: close\r\n", content.len());
        let message = [head(&start_line, &headers, &length).as_bytes(), &content].concat();
        let response = match fault {
            Fault::Status { status, retry_after } => refusal(status, retry_after),
            Fault::RepeatRequest => {
                pass(server, &message, passing.method)?;
                pass(server, &message, passing.method)?
            }
            _ => pass(server, &message, passing.method)?,
        };
        if !answer(client, response, passing.method, fault)? {
            return Ok(());
        }
    }
    Ok(())
}

/// A message's head with other framing fields than came.
fn head(start_line: &str, headers: &Headers, framing: &str) -> String {
    const FRAMING: [&str; 3] = ["connection", "content-length", "transfer-encoding"];
    let mut text = format!("{start_line}\r\n");
    for (name, value) in headers.iter() {
        // Without a framing of our own the message keeps that with which it came.
        if framing.is_empty() || !FRAMING.contains(&name.to_ascii_lowercase().as_str()) {
            text += &format!("{name}: {value}\r\n");
        }
    }
    text + framing + "\r\n"
}

/// Passes a whole request on and reads the answer.
fn pass(server: SocketAddr, message: &[u8], method: &str) -> io::Result<Response> {
    let stream = TcpStream::connect(server)?;
    prepare(&stream)?;
    // A server that refuses a request early closes while the content is still being sent; its answer counts.
    let sent = (&stream).write_all(message);
    read_response(&stream, method).or_else(|error| sent.and(Err(error)))
}

/// Passes the beginning of a request on and breaks the connection.
fn pass_beginning(server: SocketAddr, head: &str, framing: Framing, content: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(head.as_bytes())?;
    if matches!(framing, Framing::Chunked(_)) && !content.is_empty() {
        stream.write_all(format!("{:x}\r\n", content.len()).as_bytes())?;
    }
    stream.write_all(content)?;
    stream.shutdown(Shutdown::Both)
}

fn refusal(status: u16, retry_after: Option<u64>) -> Response {
    let mut headers = Headers::default();
    if let Some(seconds) = retry_after {
        headers.push("Retry-After", seconds.to_string());
    }
    Response { status, headers, body: b"a fault that the test asked for\n".to_vec() }
}

fn flip(content: &mut [u8], at: usize) {
    if let Some(length) = content.len().checked_sub(1) {
        content[at % (length + 1)] ^= 0x10;
    }
}

/// Sends an answer, spoilt as the fault says; false when the connection is of no more use.
fn answer(mut client: &TcpStream, response: Response, method: &str, fault: Fault) -> io::Result<bool> {
    let Response { status, headers, mut body } = response;
    match fault {
        Fault::FlipResponse { at } => flip(&mut body, at),
        Fault::ShortenResponse { to } => body.truncate(to),
        _ => {}
    }
    // An answer to HEAD has the length of what GET would bring.
    let length = match headers.find("content-length") {
        Some(length) if method == "HEAD" => length.to_owned(),
        _ => body.len().to_string(),
    };
    if method == "HEAD" {
        body.clear();
    }
    let framing = if status == 204 {
        "Connection: keep-alive\r\n".to_owned()
    } else {
        format!("Content-Length: {length}\r\n")
    };
    let head = head(&format!("HTTP/1.1 {status} {status}"), &headers, &framing);
    let message = [head.as_bytes(), &body].concat();
    match fault {
        Fault::CutResponse { after } => {
            client.write_all(&message[..after.min(message.len())])?;
            return Ok(false);
        }
        Fault::RepeatResponse => {
            client.write_all(&[message.as_slice(), &message].concat())?;
            return Ok(false);
        }
        Fault::SlowResponse { pieces, pause } => {
            for piece in message.chunks(message.len().div_ceil(pieces.max(1))) {
                client.write_all(piece)?;
                thread::sleep(pause);
            }
        }
        _ => client.write_all(&message)?,
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::http::client::exchange;
    use crate::http::server::{self, Server};

    /// What a client gets for `POST /echo` with `hello` and what the server saw of it.
    fn check(fault: Fault, expected: Result<(u16, &str), io::ErrorKind>, seen: &[&str]) {
        let log = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = std::sync::Arc::clone(&log);
        let server = Server::start(move |request| {
            let mut text = String::new();
            let read = request.body.read_to_string(&mut text);
            kept.lock().ok()?.push(if read.is_ok() { text.clone() } else { format!("{text}…") });
            read.is_ok().then(|| server::Response::new(200).with_content("text/plain", text))
        });
        let server = server.expect("a server");
        let proxy = FaultProxy::start(server.address(), move |_| fault).expect("a proxy");
        let response = exchange(proxy.address(), "POST", "/echo", &[], b"hello");
        let found = response.as_ref().map(|response| (response.status, response.text()));
        let found = found.map_err(|error| error.kind());
        assert_eq!(found, expected.map(|(status, text)| (status, text.to_owned())), "{fault:?}");
        // A server whose connection was cut may still be reading what it has.
        let deadline = Instant::now() + Duration::from_secs(5);
        while log.lock().expect("no panic").len() < seen.len() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        drop((proxy, server));
        assert_eq!(*log.lock().expect("no panic"), seen, "{fault:?}");
    }

    #[test]
    fn does_what_its_faults_say() {
        let lost = || Err(io::ErrorKind::UnexpectedEof);
        check(Fault::None, Ok((200, "hello")), &["hello"]);
        check(
            Fault::Status { status: 502, retry_after: None },
            Ok((502, "a fault that the test asked for\n")),
            &[],
        );
        check(Fault::CutRequest { after: 2 }, lost(), &["he…"]);
        check(Fault::CutResponse { after: 0 }, lost(), &["hello"]);
        check(Fault::CutResponse { after: 20 }, lost(), &["hello"]);
        check(Fault::RepeatRequest, Ok((200, "hello")), &["hello", "hello"]);
        check(Fault::RepeatResponse, Ok((200, "hello")), &["hello"]);
        check(Fault::FlipRequest { at: 6 }, Ok((200, "hullo")), &["hullo"]);
        check(Fault::FlipResponse { at: 5 }, Ok((200, "xello")), &["hello"]);
        check(Fault::ShortenResponse { to: 4 }, Ok((200, "hell")), &["hello"]);
        let slow = Fault::SlowResponse { pieces: 9, pause: Duration::from_millis(1) };
        check(slow, Ok((200, "hello")), &["hello"]);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let passing = Passing { method: "GET", target: "/" };
        let row = |seed| -> Vec<Fault> {
            let rule = random(seed, 2);
            (0..100).map(|_| rule(&passing)).collect()
        };
        assert_eq!(row(1), row(1));
        assert_ne!(row(1), row(2));
        let spoilt = row(3).iter().filter(|fault| **fault != Fault::None).count();
        assert!((25..75).contains(&spoilt), "{spoilt}");
    }
}
