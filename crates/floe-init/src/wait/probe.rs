//! One attempt at a target.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::resolver;
use super::target::{Address, Target};

/// Bytes of a page's head that are read.
const HEAD_LIMIT: usize = 4096;

/// Tries a target once, for up to `timeout`; the error says in words why it is not ready.
pub(crate) fn probe(target: &Target, timeout: Duration) -> Result<(), String> {
    let deadline = Instant::now() + timeout;
    match target {
        Target::Tcp(address) => connect(address, deadline).map(drop),
        Target::Http(address, path) => ask(address, path, deadline),
        Target::File(path) => {
            path.metadata().map(drop).map_err(|error| format!("{}: {error}", path.display()))
        }
    }
}

/// Connects to the first of the host's addresses that accepts.
fn connect(address: &Address, deadline: Instant) -> Result<TcpStream, String> {
    let found = resolver::addresses(&address.host, deadline)?;
    let mut last = format!("{} has no address", address.host);
    for ip in found {
        let left = left(deadline)?;
        match TcpStream::connect_timeout(&SocketAddr::new(ip, address.port), left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = format!("{ip}, port {}: {error}", address.port),
        }
    }
    Err(last)
}

/// Asks for a page; its status decides. Bodies are not read.
fn ask(address: &Address, path: &str, deadline: Instant) -> Result<(), String> {
    let mut stream = connect(address, deadline)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: floe-init\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let status = exchange(&mut stream, request.as_bytes(), deadline)?;
    match status {
        100..400 => Ok(()),
        _ => Err(format!("it answers with status {status}")),
    }
}

fn exchange(stream: &mut TcpStream, request: &[u8], deadline: Instant) -> Result<u16, String> {
    let in_words = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it does not answer in time".to_owned(),
        _ => error.to_string(),
    };
    stream.set_write_timeout(Some(left(deadline)?)).map_err(in_words)?;
    stream.write_all(request).map_err(in_words)?;
    let mut head = Vec::new();
    let mut buffer = [0; 512];
    while head.len() < HEAD_LIMIT && !head.contains(&b'\n') {
        stream.set_read_timeout(Some(left(deadline)?)).map_err(in_words)?;
        match stream.read(&mut buffer).map_err(in_words)? {
            0 => break,
            count => head.extend_from_slice(&buffer[..count]),
        }
    }
    status_of(&head).ok_or_else(|| "it does not speak HTTP".to_owned())
}

/// The status in a response's first line (RFC 9112, section 4).
fn status_of(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.")?;
    let status = std::str::from_utf8(rest.get(2..5)?).ok()?;
    status.parse().ok().filter(|_| rest.get(1) == Some(&b' '))
}

/// The time that is left, never zero: the system takes zero for no limit.
fn left(deadline: Instant) -> Result<Duration, String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err("it does not answer in time".to_owned()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const SPAN: Duration = Duration::from_secs(10);

    fn check(target: &str) -> Result<(), String> {
        probe(&Target::parse(target).expect("a target"), SPAN)
    }

    #[test]
    fn reads_the_status() {
        for (head, expected) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], Some(200)),
            (b"HTTP/1.0 503 Busy\r\n", Some(503)),
            (b"HTTP/1.1 20", None),
            (b"HTTP/2 200", None),
            (b"SSH-2.0-x\r\n", None),
            (b"", None),
        ] {
            assert_eq!(status_of(head), expected);
        }
    }

    #[test]
    fn tells_ready_from_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        check(&format!("tcp://127.0.0.1:{port}")).expect("a port that accepts");
        check(&format!("tcp://localhost:{port}")).expect("a name in /etc/hosts");
        let server = thread::spawn(move || {
            // The first two connections are those above.
            for answer in
                ["", "", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 500 Oh\r\n\r\n", "220 mail\r\n"]
            {
                let (mut stream, _) = listener.accept().expect("a connection");
                if !answer.is_empty() {
                    let mut request = [0; 16];
                    stream.read_exact(&mut request).expect("a request");
                    stream.write_all(answer.as_bytes()).expect("written");
                }
            }
        });
        let page = format!("http://127.0.0.1:{port}/health");
        assert_eq!(check(&page), Ok(()));
        assert_eq!(check(&page), Err("it answers with status 500".to_owned()));
        assert_eq!(check(&page), Err("it does not speak HTTP".to_owned()));
        server.join().expect("a server");
        assert!(check(&page).is_err());
        assert_eq!(check("file:///etc/passwd"), Ok(()));
        assert!(check("file:///none").is_err());
    }
}
